"""Step types as functions on an AnnData in memory, for whoever wants the method alone: no recipe, no store.

``spatialrun.steps.svg.spatialde(adata, n_svg=500)`` reads what the step type declares to read from the AnnData,
computes as the engine does, to the same numbers, and writes its outputs where a recipe's run would have them:
``adata.var["spatialde.padj"]``. So it is with every step type that works on one sample: ``steps.normalize.log``,
``steps.domains.spagcn``, ``steps.markers.spagcn``, ``steps.plot.spatial``, and those of plugins.
"""

from __future__ import annotations

import inspect
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from spatialrun.errors import UsageError
from spatialrun.methods.checkpoint import UNSAVED, Checkpoint
from spatialrun.steps.anndata_slots import HeldInputs, Slots, held, write
from spatialrun.steps.contract import Parameters, Site, StagedStep, Step, StreamingStep
from spatialrun.values import FileBytes

if TYPE_CHECKING:
    from types import ModuleType

    from anndata import AnnData

_log = logging.getLogger("spatialrun")


class StepFunction:
    """A step type as a function; ``help`` shows its parameters.

    Parameters
    ----------
    step
        A step type that works on one sample and reads nothing but slots.

    Raises
    ------
    UsageError
        ``usage`` for readers, exports, simulations and steps on whole cohorts.
    """

    def __init__(self, step: Step) -> None:
        if step.scope == "cohort":
            hint = "apply a recipe, or call the step of one sample on `anndata.concat` of them"
            raise UsageError("usage", f"{step.name} works on several samples together", hint=hint)
        if step.name.partition(".")[0] in ("read", "simulate", "export"):
            hint = "scanpy and spatialrun.readers read and write files"
            raise UsageError("usage", f"{step.name} works on files, not on an AnnData", hint=hint)
        self.step = step
        self.__name__ = self.__qualname__ = step.name.rpartition(".")[2]
        self.__module__ = f"spatialrun.steps.{step.name.partition('.')[0]}"
        self.__signature__ = _signature(step.Params)
        self.__doc__ = _documentation(step)

    def __call__(
        self,
        adata: AnnData,
        *,
        library: str | None = None,
        threads: int | None = None,
        device: str = "cpu",
        **params: Any,
    ) -> FileBytes | None:
        """Run the step on an AnnData; see ``help`` of the function for the parameters."""
        model = self._validated(params)
        slots = Slots(adata, library)
        site = Site(base=Path.cwd(), step=self.__name__, declared=frozenset(slots))
        writes = {write.port: write.slot for write in self.step.writes(model, site)}
        inputs = slots.inputs(self.step, model, site)
        with ExitStack() as stack:
            context = DirectContext(threads or os.cpu_count() or 1, device, stack)
            # As in the engine's workers: sums do not depend on how many threads there are.
            from threadpoolctl import threadpool_limits

            stack.enter_context(threadpool_limits(1, user_api="blas"))
            outputs = _computed(self.step, inputs, model, context)
            figure = None
            for port, value in outputs.items():
                if isinstance(value, FileBytes):
                    figure = value
                else:
                    write(adata, writes[port], value)
        return figure

    def __repr__(self) -> str:
        return f"<step {self.step.name}{self.__signature__}>"

    def _validated(self, params: Mapping[str, Any]) -> Parameters:
        try:
            return self.step.Params.model_validate(dict(params))
        except ValidationError as error:
            said = []
            for failure in error.errors(include_url=False):
                name = ".".join(map(str, failure["loc"])) or "parameters"
                near = get_close_matches(name, self.step.Params.model_fields, n=1)
                more = f"; did you mean {near[0]}?" if near and failure["type"] == "extra_forbidden" else ""
                said.append(f"{name}: {failure['msg']}{more}")
            hint = f"help(spatialrun.steps.{self.step.name})"
            raise UsageError("usage", f"{self.step.name} cannot take {'; '.join(said)}", hint=hint) from None


def functions_of(module: str) -> Callable[[str], StepFunction]:
    """Return a module's ``__getattr__``: in ``spatialrun.steps.svg``, ``spatialde`` is ``svg.spatialde``."""
    family = module.rpartition(".")[2]

    def __getattr__(name: str) -> StepFunction:  # noqa: N807
        from spatialrun.steps import catalogue

        known = [] if name.startswith("_") else catalogue.names()
        if f"{family}.{name}" in known:
            return StepFunction(catalogue.get(f"{family}.{name}"))
        near = get_close_matches(f"{family}.{name}", known, n=1)
        more = f"; did you mean {near[0]}?" if near else ""
        raise AttributeError(f"module {module!r} has no attribute {name!r}{more}")

    return __getattr__


class Family:
    """The step types of a family that has no module of its own, as functions."""

    def __init__(self, name: str) -> None:
        self._get = functions_of(f"spatialrun.steps.{name}")

    def __getattr__(self, name: str) -> StepFunction:
        return self._get(name)


def family_of(package: str, name: str) -> ModuleType | Family:
    """Return what ``spatialrun.steps.NAME`` is: its module, or the step types of that family.

    Raises
    ------
    AttributeError
        Where there is neither.
    """
    from importlib import import_module
    from importlib.util import find_spec

    if not name.startswith("_"):
        if find_spec(f"{package}.{name}") is not None:
            return import_module(f"{package}.{name}")
        from spatialrun.steps import catalogue

        if any(known.partition(".")[0] == name for known in catalogue.names()):
            return Family(name)
    raise AttributeError(f"module {package!r} has no attribute {name!r}")


class DirectContext:
    """What a step called by itself talks to: :class:`spatialrun.steps.contract.Context`.

    Lines go to the logger ``spatialrun``, warnings to Python's.
    """

    checkpoint: Checkpoint = UNSAVED

    def __init__(self, threads: int, device: str, stack: ExitStack) -> None:
        self.threads = threads
        self.device = device
        self._stack = stack

    def log(self, message: str) -> None:
        """Log a line."""
        _log.info(message)

    def warn(self, message: str) -> None:
        """Warn."""
        warnings.warn(message, stacklevel=2)

    def progress(self, done: int, total: int, unit: str = "") -> None:
        """Show nothing."""

    def measure(self, **values: float) -> None:
        """Log numbers that say what was found."""
        _log.info(", ".join(f"{name} {value:g}" for name, value in values.items()))

    def folder(self, port: str) -> Path:
        """Make a folder that is gone after the call."""
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix=f"spatialrun-{port}-")))

    def scratch(self) -> Path:
        """Make a folder that is gone after the call."""
        return self.folder("scratch")

    def file(self, port: str) -> Path:
        """There is no file to write: exports are for recipes."""
        raise TypeError(f"{port} cannot be written")


def _computed(
    step: Step, inputs: HeldInputs, params: Parameters, context: DirectContext
) -> Mapping[str, Any]:
    """Run the stages of a step in turn; blocks of genes side by side."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    if not isinstance(step, StagedStep):
        return step.run(inputs, params, context)
    setup = HeldInputs(held(step.setup(inputs, params, context)))
    if isinstance(step, StreamingStep):
        shared = step.load(setup, params)
        blocks = step.blocks(setup, inputs, params)
        with ThreadPoolExecutor(context.threads) as pool:
            parts = list(pool.map(lambda block: step.block(shared, inputs, params, block), blocks))
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
        setup.values_by_port |= held({f"blocks/{name}": values for name, values in joined.items()})
    return step.combine(setup, inputs, params, context)


def _signature(params: type[Parameters]) -> inspect.Signature:
    """The parameters, with their defaults and types, after the AnnData."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [
        inspect.Parameter(
            name,
            keyword,
            default=inspect.Parameter.empty if info.is_required() else info.default,
            annotation=info.annotation,
        )
        for name, info in params.model_fields.items()
    ]
    return inspect.Signature(
        [
            inspect.Parameter("adata", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation="AnnData"),
            *own,
            inspect.Parameter("library", keyword, default=None, annotation="str | None"),
            inspect.Parameter("threads", keyword, default=None, annotation="int | None"),
            inspect.Parameter("device", keyword, default="cpu", annotation=str),
        ],
        return_annotation="FileBytes | None",
    )


def _documentation(step: Step) -> str:
    """The step type's own words, and a line for each parameter."""
    lines = [inspect.cleandoc(step.__doc__ or ""), "", "Parameters", "----------"]
    lines += ["adata", "    Read, and written to in place."]
    for name, info in step.Params.model_fields.items():
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        unit = f" ({extra['unit']})" if extra.get("unit") else ""
        lines += [name, f"    {info.description}{unit}"]
    lines += [
        "library",
        "    Entry of uns['spatial'] with images and scale factors, where there are several.",
        "threads",
        "    How many threads it may use; all cores by default. The result does not depend on it.",
        "device",
        "    What torch computes on: cpu, cuda ...",
        "",
        "Returns",
        "-------",
        "``None``; of steps that draw, the figure: ``content`` and ``suffix``.",
    ]
    if step.cite:
        lines += ["", "References", "----------", step.cite]
    return "\n".join(lines)

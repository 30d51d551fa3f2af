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
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from spatialrun.errors import DataError, UsageError, Where
from spatialrun.methods.checkpoint import UNSAVED, Checkpoint
from spatialrun.slots import group_of, name_of
from spatialrun.steps.contract import Parameters, Read, Site, StagedStep, Step, StreamingStep
from spatialrun.values import ColumnStream, FileBytes

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from anndata import AnnData
    from scipy.sparse import csc_matrix

OUTSIDE = ("files", "exports", "axes", "images")
"""Groups of slots that a step on an AnnData cannot write."""
RGB = ("r", "g", "b", "a")
TABLES = ("obs", "var")
ARRAYS = ("layers", "obsm", "varm", "obsp", "varp", "uns")

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
                    _write(adata, writes[port], value)
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


@dataclass
class Held:
    """A value in memory as an element: :class:`spatialrun.steps.contract.Element`."""

    load: Callable[[], Any]

    @cached_property
    def value(self) -> Any:
        """The value, converted when it is first asked for."""
        return self.load()

    @property
    def meta(self) -> Mapping[str, Any]:
        """Shape, type and number of entries."""
        value = self.value
        names = ("shape", "dtype", "nnz", "format")
        found = {name: getattr(value, name) for name in names if hasattr(value, name)}
        return found | ({"shape": list(found["shape"])} if "shape" in found else {})

    @property
    def path(self) -> Path:
        """There is none: nothing lies in a file."""
        raise TypeError("a value in memory has no path")

    def read(self) -> Any:
        """Return the value."""
        return self.value

    def columns(self, start: int, stop: int) -> csc_matrix:
        """Return columns of a matrix."""
        return self.value[:, start:stop]

    def level(self, least: float) -> Any:
        """Return an image, at the one level that it has."""
        del least
        return self.value

    def stream(self) -> ColumnStream:
        """Return a matrix as a stream of its columns."""
        return ColumnStream.of(self.value)


@dataclass
class HeldInputs(Mapping[str, Held]):
    """Inputs by port: :class:`spatialrun.steps.contract.Inputs`."""

    values_by_port: dict[str, Held]
    externals: Mapping[str, Path] = field(default_factory=dict)
    source: Path | None = None

    def __getitem__(self, port: str) -> Held:
        return self.values_by_port[port]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_port)

    def __len__(self) -> int:
        return len(self.values_by_port)


class Slots(Mapping[str, Held]):
    """An AnnData's content by slot, in the forms in which the store would give it.

    Parameters
    ----------
    adata
        The AnnData. ``layers/X`` is its X.
    library
        Which entry of ``uns["spatial"]`` has the images and scale factors; needed where there are several.
    """

    def __init__(self, adata: AnnData, library: str | None = None) -> None:
        import numpy as np

        self._slots: dict[str, Callable[[], Any]] = {
            "axes/obs": lambda: np.asarray(adata.obs_names, dtype=object),
            "axes/var": lambda: np.asarray(adata.var_names, dtype=object),
        }
        for table in TABLES:
            frame = getattr(adata, table)
            for name in frame:
                self._slots[f"{table}/{name}"] = partial(_column, frame[name])
        for group in ARRAYS:
            for name, value in getattr(adata, group).items():
                if (group, name) != ("uns", "spatial"):
                    self._slots[f"{group}/{name}"] = partial(_array, value, group)
        if adata.X is not None:
            self._slots["layers/X"] = partial(_array, adata.X, "layers")
        self._add_library(adata, library)

    def __getitem__(self, slot: str) -> Held:
        return Held(self._slots[slot])

    def __iter__(self) -> Iterator[str]:
        return iter(self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    def inputs(self, step: Step, params: Parameters, site: Site) -> HeldInputs:
        """Gather what a step reads.

        Raises
        ------
        DataError
            ``data.values`` where the AnnData lacks something, with the nearest name.
        """
        reads = step.reads(params, site)
        for read in reads:
            if read.slot not in self and not read.optional:
                raise self._lacks(step, read)
        found = {read.port: self[read.slot] for read in reads if read.slot in self}
        return HeldInputs(found, step.externals(params, site))

    def _lacks(self, step: Step, read: Read) -> DataError:
        group = group_of(read.slot)
        there = [name_of(slot) for slot in self if group_of(slot) == group]
        near = get_close_matches(name_of(read.slot), there, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"{group} has: {', '.join(there) or 'nothing'}"
        if group == "layers" and "layers/X" in self:
            hint += "; layer='X' takes adata.X"
        return DataError(
            "data.values", f"{step.name} needs {read.slot}, which the AnnData lacks",
            where=Where(slot=read.slot), hint=hint,
        )  # fmt: skip

    def _add_library(self, adata: AnnData, library: str | None) -> None:
        libraries = adata.uns.get("spatial") or {}
        if not isinstance(libraries, Mapping) or not libraries:
            return
        if library is None and len(libraries) > 1:
            return  # a step that needs it says that it is lacking
        name = library if library is not None else next(iter(libraries))
        if name not in libraries:
            hint = f"uns['spatial'] has: {', '.join(map(str, libraries))}"
            raise UsageError("usage", f"uns['spatial'] has no library {name!r}", hint=hint)
        found = libraries[name]
        scalefactors = dict(found.get("scalefactors", {}))
        about = {"scalefactors": scalefactors, "metadata": dict(found.get("metadata", {}))}
        self._slots["uns/spatial"] = lambda: about
        for key, pixels in found.get("images", {}).items():
            scalef = scalefactors.get(f"tissue_{key}_scalef", 1.0)
            self._slots[f"images/{key}"] = partial(_image, pixels, scalef)


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
    setup = HeldInputs(_held(step.setup(inputs, params, context)))
    if isinstance(step, StreamingStep):
        shared = step.load(setup, params)
        blocks = step.blocks(setup, inputs, params)
        with ThreadPoolExecutor(context.threads) as pool:
            parts = list(pool.map(lambda block: step.block(shared, inputs, params, block), blocks))
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
        setup.values_by_port |= _held({f"blocks/{name}": values for name, values in joined.items()})
    return step.combine(setup, inputs, params, context)


def _held(values: Mapping[str, Any]) -> dict[str, Held]:
    return {name: Held(partial(_whole, value)) for name, value in values.items()}


def _whole(value: Any) -> Any:
    """A stream of columns as the matrix that it is."""
    return value.tocsc() if isinstance(value, ColumnStream) else value


def _write(adata: AnnData, slot: str, value: Any) -> None:
    group, name = group_of(slot), name_of(slot)
    if group in OUTSIDE or slot == "uns/spatial":
        raise UsageError("usage", f"{slot} has no place in an AnnData", hint="apply a recipe")
    getattr(adata, group)[name] = _whole(value)


def _column(column: Any) -> Any:
    """A column of obs or var as the store holds it."""
    import numpy as np
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.array
    return column.to_numpy(dtype=object) if pd.api.types.is_string_dtype(column) else np.asarray(column)


def _array(value: Any, group: str) -> Any:
    """A value of a group: layers as CSC, others as they are, without labels of pandas."""
    import pandas as pd
    from scipy.sparse import csc_matrix, issparse

    if group == "layers":
        matrix = csc_matrix(value)
        return matrix if matrix.has_sorted_indices else matrix.sorted_indices()
    if group != "uns" and isinstance(value, pd.DataFrame):
        return value.to_numpy()
    return value.tocsr() if group in ("obsp", "varp") and issparse(value) else value


def _image(pixels: np.ndarray, scalef: float) -> Any:
    """An image (y, x, c) as the store holds it; scanpy reads pixels as shares of white."""
    import numpy as np
    import xarray as xr

    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.dtype.kind == "f":
        pixels = np.round(255 * pixels).clip(0, 255).astype(np.uint8)
    n = pixels.shape[2]
    channels = list(RGB[:n]) if n in (3, 4) else [str(number) for number in range(n)]
    return xr.DataArray(
        np.ascontiguousarray(pixels.transpose(2, 0, 1)),
        dims=("c", "y", "x"),
        coords={"c": channels},
        attrs={"scalef": float(scalef)},
    )


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

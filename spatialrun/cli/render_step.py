"""Step types on paper: what they do, take, read and write."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from rich.console import Console
from rich.text import Text

from spatialrun.cli.console import print_columns, print_line
from spatialrun.errors import SpatialrunError
from spatialrun.plan.wording import value
from spatialrun.slots import COHORT
from spatialrun.steps.contract import CohortStep, Parameters, Site, StagedStep, Step, parameter_names

PLAIN_TYPES = {int: "int", float: "float", str: "text", bool: "true/false", NoneType: "null"}
SCOPES = {"sample": "per sample", "cohort": "over all samples"}
BOUNDS = {
    annotated_types.Ge: ("at least", "ge"),
    annotated_types.Gt: ("more than", "gt"),
    annotated_types.Le: ("at most", "le"),
    annotated_types.Lt: ("less than", "lt"),
}
LATE = "late: a change of it repeats the last stage alone"
CODE = re.compile("``(.+?)``")


def print_catalogue(console: Console, steps: Sequence[Step]) -> None:
    """Print a line per step type."""
    print_columns(
        console, [[Text(step.name, "bold"), Text(step.scope, "dim"), summary(step)] for step in steps]
    )


def summary(step: Step) -> Text:
    """Return the first line of a step type's description."""
    return _prose(inspect.cleandoc(type(step).__doc__ or "").partition("\n")[0])


def print_step(console: Console, step: Step) -> None:
    """Print everything about a step type."""
    about = [f"version {step.version}", SCOPES[step.scope], step.determinism]
    if step.resource != "cpu":
        about.append(step.resource)
    print_line(console, Text.assemble((step.name, "bold"), f"  {', '.join(about)}"))
    print_line(console, _prose(inspect.cleandoc(type(step).__doc__ or "")))
    print_line(console)
    print_line(console, Text("parameters", "bold"))
    staged = isinstance(step, StagedStep)
    for line in _parameters(step.Params, staged=staged):
        print_line(console, line)
    if staged and parameter_names(step.Params, "late"):
        print_line(console, Text(f"  {LATE}", "dim"))
    print_line(console)
    print_columns(console, _slots(step))
    if step.cite:
        print_line(console)
        print_line(console, Text.assemble(("cite    ", "bold"), step.cite))


def _prose(text: str) -> Text:
    """Return a docstring's text, its code set apart by style instead of by marks."""
    line = Text()
    for number, part in enumerate(CODE.split(text)):
        line.append(part, "cyan" if number % 2 else "")
    return line


def _parameters(params: type[BaseModel], *, staged: bool, prefix: str = "") -> Iterator[Text]:
    """Yield two lines for each parameter: ``n_svg: int | null = 500  (genes, at least 1, late)``; its help."""
    for name, info in params.model_fields.items():
        marks = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        notes = [] if not marks.get("unit") else [str(marks["unit"])]
        notes += [
            f"{words} {value(getattr(bound, attribute))}"
            for bound in info.metadata
            for kind, (words, attribute) in BOUNDS.items()
            if isinstance(bound, kind)
        ]
        notes += ["late"] if staged and marks.get("late") else []
        default, missing = _default(info)
        notes += ["required"] if missing else []
        line = Text.assemble((f"  {prefix}{name}", "cyan"), f": {type_words(info.annotation)}{default}")
        line.append(f"  ({', '.join(notes)})" if notes else "", "dim")
        yield line
        yield Text(f"      {info.description or ''}")
        for model in _models(info.annotation):
            yield from _parameters(model, staged=staged, prefix=f"{prefix}{name}.")


def _default(info: FieldInfo) -> tuple[str, bool]:
    """Return `` = default``, and whether there is none."""
    default = info.get_default(call_default_factory=False)
    if info.is_required() or default is PydanticUndefined:
        return "", True
    return f" = {value(default.model_dump() if isinstance(default, Parameters) else default)}", False


def type_words(annotation: Any) -> str:
    """Return a type as a recipe's writer would put it: ``int | null``, ``[float, float]``."""
    if annotation in PLAIN_TYPES:
        return PLAIN_TYPES[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_words(inner[0])
    if origin is Literal:
        return " | ".join(map(str, inner))
    if origin in (Union, UnionType):
        return " | ".join(dict.fromkeys(map(type_words, inner)))
    if origin is tuple and inner[-1] is not Ellipsis:
        return f"[{', '.join(map(type_words, inner))}]"
    if origin in (list, tuple):
        return f"[{type_words(inner[0])}, ...]"
    if origin in (dict, Mapping):
        return f"{{{type_words(inner[0])}: {type_words(inner[1])}}}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"{{{', '.join(annotation.model_fields)}}}"
    return "any"


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the mappings that a parameter may hold, whose keys are described in lines of their own."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _slots(step: Step) -> list[Sequence[str | Text]]:
    reads = _templates(step.READS, lambda: step.reads(step.Params(), Site()))
    writes = _templates(step.WRITES, lambda: step.writes(step.Params(), Site(step="{id}")))
    if isinstance(step, CohortStep):
        reads += [f"{slot} (of {COHORT})" for slot in step.COHORT_READS.values()]
        writes += [f"{slot} (of {COHORT})" for slot in step.COHORT_WRITES.values()]
    return [(Text("reads", "bold"), ", ".join(reads)), (Text("writes", "bold"), ", ".join(writes))]


def _templates(templates: Mapping[str, str], ask: Callable[[], Iterable[Any]]) -> list[str]:
    """Return the slots as declared, else as they are with the defaults; what depends on files cannot be said."""
    if templates:
        return [f"{slot[:-1]} (optional)" if slot.endswith("?") else slot for slot in templates.values()]
    try:
        return [entry.slot for entry in ask()] or ["nothing"]
    except (ValueError, SpatialrunError):
        return ["what its input and parameters say"]

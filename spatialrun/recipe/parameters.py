"""A step's parameters: validated by its pydantic model, refused in the house's words at the value's place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from spatialrun.recipe.nodes import Entry, ListNode, MapNode, Node, ScalarNode, describe
from spatialrun.recipe.problems import Problems, choices, nearest, unknown
from spatialrun.recipe.source import Mark
from spatialrun.steps.contract import Parameters, Step

Keys = tuple[str | int, ...]
"""Keys and positions that lead to a value within a step's parameters."""

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "none_required": "nothing",
    "path_type": "a path",
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type", "dataclass_type"), "a mapping"),
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
    "multiple_of": ("a multiple of", "multiple_of"),
}
_LENGTHS = {
    "too_short": ("at least", "min_length", "entries"),
    "too_long": ("at most", "max_length", "entries"),
    "string_too_short": ("at least", "min_length", "characters"),
    "string_too_long": ("at most", "max_length", "characters"),
}
_OTHER_BOOLEANS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_CHOICES = ("literal_error", "enum")


def validate(
    step: Step, entries: Mapping[str, Entry], *, at: Mark, step_id: str, problems: Problems
) -> Parameters | None:
    """Return the validated parameters of a step, or ``None`` with what is wrong added to ``problems``.

    Types are checked strictly (``true`` is no number, ``"5"`` no count), with one kindness: a plain number
    where text is expected is taken as its text, so that labels such as ``3`` need no quotes.
    """
    as_text: frozenset[Keys] = frozenset()
    while True:
        data = {name: _plain(entry.value, (name,), as_text) for name, entry in entries.items()}
        try:
            # JSON mode is strict about scalars while lists still make tuples and sets.
            return step.Params.model_validate_json(json.dumps(data), strict=True)
        except ValidationError as error:
            faults = [_Fault.of(failure, entries) for failure in error.errors(include_url=False)]
        numbers = {fault.path for fault in faults if fault.kind == "string_type" and _is_number(fault.node)}
        if numbers <= as_text:
            break
        as_text |= numbers
    report = _Report(step, at, step_id, problems)
    for _, group in groupby(sorted(faults, key=lambda fault: fault.parameter), lambda fault: fault.parameter):
        for fault in _of_best_member(list(group)):
            report.add(fault)
    return None


def _plain(node: Node, path: Keys, as_text: frozenset[Keys]) -> Any:
    if isinstance(node, ListNode):
        return [_plain(item, (*path, index), as_text) for index, item in enumerate(node.items)]
    if isinstance(node, MapNode):
        return {key: _plain(entry.value, (*path, key), as_text) for key, entry in node.entries.items()}
    return node.text if path in as_text else node.value


def _is_number(node: Node | None) -> bool:
    return isinstance(node, ScalarNode) and isinstance(node.value, int | float)


@dataclass(frozen=True)
class _Fault:
    """One of pydantic's errors, tied to what the recipe says."""

    kind: str
    message: str
    context: Mapping[str, Any]
    path: Keys
    """Where it is within the parameters, the name of what is missing included."""
    node: Node | None
    """The value at fault, or that lacks something; ``None``: the parameters as a whole."""
    key: Mark | None
    in_union: bool
    """Whether pydantic's location names a member of a union, which is no part of the recipe."""

    @classmethod
    def of(cls, failure: Any, entries: Mapping[str, Entry]) -> _Fault:
        node: Node | None = None
        key: Mark | None = None
        path: Keys = ()
        in_union = False
        inside: Mapping[str, Entry] = entries
        *_, last = failure["loc"] or (None,)
        for part in failure["loc"]:
            if isinstance(part, str) and part in inside:
                key, node = inside[part].key, inside[part].value
            elif isinstance(part, int) and isinstance(node, ListNode) and part < len(node.items):
                node = node.items[part]
            elif not (failure["type"] == "missing" and part is last):
                in_union = True
                continue
            path = (*path, part)
            inside = node.entries if isinstance(node, MapNode) else {}
        return cls(failure["type"], failure["msg"], failure.get("ctx", {}), path, node, key, in_union)

    @property
    def parameter(self) -> str:
        """The parameter's name; empty for a fault of all together."""
        return str(self.path[0]) if self.path else ""

    @property
    def label(self) -> str:
        """The path as one writes it: ``kernels[0].scale``."""
        return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in self.path).removeprefix(".")

    @property
    def expected(self) -> str | None:
        """What should have stood there, where the fault is one of type."""
        return str(self.context["expected"]) if self.kind in _CHOICES else _EXPECTED.get(self.kind)


def _of_best_member(faults: list[_Fault]) -> Iterator[_Fault]:
    """Choose the faults to show of one parameter: of a union, the member that the value came closest to."""
    if not any(fault.in_union for fault in faults):
        yield from faults
        return
    # A member of another type altogether says less than one that took the type and minded the value.
    depth = max(len(fault.path) for fault in faults)
    deepest = [fault for fault in faults if len(fault.path) == depth]
    for _, group in groupby(sorted(deepest, key=lambda fault: fault.label), lambda fault: fault.label):
        members = list(group)
        exact = next((fault for fault in members if fault.expected is None), None)
        expected = " or ".join(dict.fromkeys(str(fault.expected) for fault in members))
        yield exact or replace(members[0], kind="enum", context={"expected": expected})


class _Report:
    """Words for the faults of one step's parameters."""

    def __init__(self, step: Step, at: Mark, step_id: str, problems: Problems) -> None:
        self._step = step
        self._at = at
        self._id = step_id
        self._problems = problems

    def add(self, fault: _Fault) -> None:
        """Add one fault to the problems."""
        found = "nothing" if fault.node is None else describe(fault.node)
        label, kind, context = fault.label, fault.kind, fault.context
        if kind == "extra_forbidden":
            self._unknown(fault)
        elif kind == "missing":
            what = f"{label} is missing" if fault.node else f"{self._step.name} needs the parameter '{label}'"
            self._note("recipe.missing-key", what, fault, self._help(fault))
        elif fault.expected is not None:
            what = f"{label} must be {fault.expected}, found {found}{_meant(found, fault.expected)}"
            self._note("recipe.wrong-type", what, fault)
        elif kind in _BOUNDS:
            words, key = _BOUNDS[kind]
            what = f"{label} must be {words} {_number(context[key])}{self._unit(fault)}, found {found}"
            self._note("recipe.out-of-range", what, fault)
        elif kind in _LENGTHS:
            words, key, things = _LENGTHS[kind]
            what = f"{label} must have {words} {context[key]} {things}"
            self._note("recipe.out-of-range", what, fault)
        elif kind == "string_pattern_mismatch":
            what = f"{label} must have the form {context['pattern']}, found {found}"
            self._note("recipe.out-of-range", what, fault)
        else:
            message = fault.message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
            self._note("recipe.out-of-range", f"{label or self._step.name}: {message}", fault)

    def _unknown(self, fault: _Fault) -> None:
        if len(fault.path) == 1:
            valid = list(self._step.Params.model_fields)
            what = unknown("parameter", fault.parameter, valid, of=self._step.name)
            hint = f"it takes: {choices(valid)}"
        else:
            info = self._field(fault)
            valid = sorted(_inner_names(info.annotation if info else None))
            owner = f"{fault.parameter} of {self._step.name}"
            what = unknown("key", str(fault.path[-1]), valid, of=owner)
            hint = f"it takes: {choices(valid)}"
        self._problems.add("recipe.unknown-key", what, fault.key or self._at, hint=hint, step=self._id)

    def _field(self, fault: _Fault) -> FieldInfo | None:
        return self._step.Params.model_fields.get(fault.parameter)

    def _help(self, fault: _Fault) -> str | None:
        info = self._field(fault)
        return info.description if info else None

    def _unit(self, fault: _Fault) -> str:
        info = self._field(fault)
        extra = info.json_schema_extra if info else None
        return f" ({extra['unit']})" if isinstance(extra, dict) and "unit" in extra else ""

    def _note(self, code: str, what: str, fault: _Fault, hint: str | None = None) -> None:
        mark = self._at if fault.node is None else fault.node.mark
        self._problems.add(code, what, mark, hint=hint, step=self._id)


def _meant(found: str, expected: str) -> str:
    """Guess what was meant: one of the quoted choices, or YAML 1.1's other words for true and false."""
    text = found.strip("'")
    if expected == "true or false" and text.casefold() in _OTHER_BOOLEANS:
        return f"; did you mean {_OTHER_BOOLEANS[text.casefold()]}?"
    near = nearest(text, re.findall(r"'([^']*)'", expected))
    return f"; did you mean '{near}'?" if near else ""


def _inner_names(annotation: Any) -> set[str]:
    """Return the keys of every model within an annotation: ``list[Kernel] | None``."""
    names = {name for part in get_args(annotation) for name in _inner_names(part)}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        names.update(annotation.model_fields)
        names.update(n for info in annotation.model_fields.values() for n in _inner_names(info.annotation))
    return names


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

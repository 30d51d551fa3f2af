"""Names of slots that a recipe chooses: they become names of files and must not lead elsewhere."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping

from spatialrun.errors import SpatialrunError
from spatialrun.recipe.names import LONGEST_NAME, is_slot_name, is_within_group
from spatialrun.recipe.nodes import Entry, ListNode, MapNode, Node, ScalarNode
from spatialrun.recipe.problems import Problems
from spatialrun.recipe.source import Mark
from spatialrun.slots import name_of
from spatialrun.steps.contract import Parameters, Site, Step, parameter_names

NAME_HINT = (
    f"names of slots have letters, digits and . _ + -, no '..', no '.' first, and {LONGEST_NAME} at most"
)


def check_slots(
    step: Step,
    params: Parameters,
    entries: Mapping[str, Entry],
    *,
    at: Mark,
    step_id: str,
    problems: Problems,
) -> None:
    """Note the names of slots that the parameters of a step make and that cannot be.

    What is written has plain names. What is read may be a column of someone's file and have any name that
    stays within its group.
    """
    for name in sorted(_fields(step.READS.values()) | parameter_names(type(params), "output_name")):
        value = getattr(params, name, None)
        if isinstance(value, str) and not is_within_group(value):
            mark = entries[name].value.mark if name in entries else at
            problems.add("recipe.bad-name", _what(value), mark, hint=NAME_HINT, step=step_id)
    said: dict[Mark, str] = {}
    for slot in _written(step, params, step_id):
        if not is_slot_name(name_of(slot)):
            chosen = misnamed(slot, entries)
            said.setdefault(chosen.mark if chosen else at, chosen.text if chosen else name_of(slot))
    for mark, text in said.items():
        problems.add("recipe.bad-name", _what(text), mark, hint=NAME_HINT, step=step_id)


def misnamed(slot: str, entries: Mapping[str, Entry]) -> ScalarNode | None:
    """Return the text that gives a written slot its bad name.

    ``None`` where the name is good, or comes from somewhere else: columns of a file that is read.
    """
    name = name_of(slot)
    if not is_slot_name(name):
        for entry in entries.values():
            for node in _texts(entry.value):
                if node.text in name and not is_slot_name(node.text):
                    return node
    return None


def _written(step: Step, params: Parameters, step_id: str) -> list[str]:
    """Return the slots that a step writes, as far as that follows from its parameters alone."""
    if any(getattr(params, name) for name in parameter_names(type(params), "path")):
        return []
    try:
        return [write.slot for write in step.writes(params, Site(step=step_id))]
    except SpatialrunError:
        return []  # it depends on the sample's files


def _fields(templates: Iterable[str]) -> set[str]:
    return {name for text in templates for _, name, _, _ in string.Formatter().parse(text) if name}


def _texts(node: Node) -> Iterator[ScalarNode]:
    """Yield every single value in a parameter's value."""
    if isinstance(node, ScalarNode) and node.text:
        yield node
    elif isinstance(node, ListNode):
        for item in node.items:
            yield from _texts(item)
    elif isinstance(node, MapNode):
        for entry in node.entries.values():
            yield from _texts(entry.value)


def _what(name: str) -> str:
    return f"'{name}' cannot name a slot"

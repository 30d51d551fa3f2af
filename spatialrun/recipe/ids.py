"""Ids of steps: as given, else the last part of ``uses``, numbered on repeats."""

from __future__ import annotations

from spatialrun.recipe.nodes import ListNode, MapNode, Node, ScalarNode


def step_ids(steps: Node | None) -> tuple[str, ...]:
    """Return the id of every entry of ``steps``, in order; empty text where there is nothing to name it by.

    A step without ``id`` takes the last part of ``uses`` (``svg.spatialde`` is ``spatialde``), or the first
    of ``spatialde-2``, ``spatialde-3`` ... that is free. Explicit ids are taken before any is generated, so
    the two never collide; a step added at the end without an id renames no other.
    """
    if not isinstance(steps, ListNode):
        return ()
    taken = {explicit for item in steps.items if (explicit := _text(item, "id"))}
    ids = []
    for item in steps.items:
        chosen = _text(item, "id")
        if not chosen and (uses := _text(item, "uses")):
            base = chosen = uses.rpartition(".")[2]
            number = 2
            while chosen in taken:
                chosen, number = f"{base}-{number}", number + 1
            taken.add(chosen)
        ids.append(chosen)
    return tuple(ids)


def _text(item: Node, key: str) -> str:
    node = item.get(key) if isinstance(item, MapNode) else None
    return node.text if isinstance(node, ScalarNode) and node.value is not None else ""

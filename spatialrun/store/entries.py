"""Entries: what a run knows of each of its tasks, and how a manifest keeps them.

A run of a thousand samples has ten thousand tasks, and who reads its manifest asks for a part of each or for a
few. So every task stands on a line of its own, which is decoded when it is asked for and not kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spatialrun.slots import locate
from spatialrun.store.elements import ObjectRef


@dataclass(frozen=True)
class TaskEntry:
    """What a run knows of one task.

    Attributes
    ----------
    step, sample, uses
        Which step on which sample (``_cohort``: on all of its samples together), and its type.
    status
        ``done``, ``cached``, ``failed``, ``skipped``, or ``unselected``: what the run before had stays.
    key
        The action's key; ``None`` where it was never known (skipped).
    identity
        What the key was made from; the next plan compares it to say why a task runs.
    outputs
        Slot to object. What a task on the cohort writes for its members stands under the slots' addresses,
        ``p2-t5:obs/integrated``; :meth:`places` takes them apart.
    facts
        Wall time, peak memory, log, error: whatever is worth showing.
    """

    step: str
    sample: str
    uses: str
    status: str
    key: str | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, ObjectRef] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def places(self) -> Iterator[tuple[str, str, ObjectRef]]:
        """Yield sample, slot and object of every output."""
        for name, ref in self.outputs.items():
            yield *locate(name, seen_from=self.sample), ref

    def to_json(self) -> dict[str, Any]:
        """Return the entry as plain data; step and sample come first, by which :class:`Entries` knows a line."""
        return {
            "step": self.step,
            "sample": self.sample,
            "uses": self.uses,
            "status": self.status,
            "key": self.key,
            "identity": dict(self.identity),
            "outputs": {slot: ref.to_json() for slot, ref in self.outputs.items()},
            "facts": dict(self.facts),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TaskEntry:
        """Rebuild an entry from plain data."""
        outputs = {slot: ObjectRef.from_json(ref) for slot, ref in data["outputs"].items()}
        step, sample, uses, status = (data[name] for name in ("step", "sample", "uses", "status"))
        return cls(step, sample, uses, status, data["key"], data["identity"], outputs, data["facts"])


class Entries(Mapping[tuple[str, str], TaskEntry]):
    """The entries of a manifest, by step and sample, each decoded when it is asked for.

    Raises
    ------
    ValueError
        Where a line is no entry's.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = {_id(line): line for line in lines}

    def __getitem__(self, id: tuple[str, str]) -> TaskEntry:
        return TaskEntry.from_json(json.loads(self._lines[id]))

    def __contains__(self, id: object) -> bool:
        return id in self._lines

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


_HEAD = re.compile(rb'\{"step":("(?:[^"\\]|\\.)*"),"sample":("(?:[^"\\]|\\.)*"),')


def _id(line: bytes) -> tuple[str, str]:
    head = _HEAD.match(line)
    if head is None:
        raise ValueError("a line is no task's")
    return _text(head[1]), _text(head[2])


def _text(word: bytes) -> str:
    """Decode a string's JSON; quickly where, as nearly always, nothing in it is escaped."""
    text: str = json.loads(word) if b"\\" in word else word[1:-1].decode()
    return text

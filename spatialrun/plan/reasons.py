"""Reasons: why a task runs, as data. The command line and the report put them into words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal[
    "new",
    "parameter",
    "input",
    "members",
    "source",
    "version",
    "numerics",
    "code",
    "step",
    "output",
    "destination",
    "unread",
    "failed",
    "forced",
]


@dataclass(frozen=True)
class Reason:
    """One cause for a task to run.

    Attributes
    ----------
    kind
        ``new`` (never done), ``parameter``, ``input`` (a slot's content), ``members`` (of a cohort step: which
        samples, or their order), ``source`` (external files), ``version`` (of the step type), ``numerics`` (a
        library's version), ``code`` (a plugin's), ``step`` (another step type under this id), ``output`` (a
        result is gone from the store), ``destination`` (an exported file is missing or was altered), ``unread``
        (external files that have not been hashed as they are now), ``failed`` (the last time it was tried),
        ``forced`` (it is cached, but was asked for).
    name
        Which parameter, slot, library, plugin, error ...
    old, new
        From what to what, where that can be said.
    """

    kind: Kind
    name: str = ""
    old: Any = None
    new: Any = None


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Reason]:
    """Say what changed from one identity to another."""
    if old["step"] != new["step"]:
        return [Reason("step", new["step"], old["step"], new["step"])]
    reasons = []
    if old["version"] != new["version"]:
        reasons.append(Reason("version", new["step"], old["version"], new["version"]))
    reasons += _changes("parameter", old["params"], new["params"])
    if (before := old.get("members")) != (after := new.get("members")):
        reasons.append(Reason("members", "", before, after))  # says of the inputs all that is worth saying
    else:
        reasons += _changes("input", _digests(old), _digests(new))
    if old["source"] != new["source"]:
        reasons.append(Reason("source", "", old["source"], new["source"]))
    reasons += _changes("numerics", old["numerics"], new["numerics"])
    reasons += _changes("code", old.get("code", {}), new.get("code", {}))
    return reasons


def _digests(identity: Mapping[str, Any]) -> dict[str, str]:
    return {slot: digest for _, slot, digest in identity["inputs"]}


def _changes(kind: Kind, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Reason]:
    names = dict.fromkeys([*new, *old])
    return [
        Reason(kind, name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)
    ]

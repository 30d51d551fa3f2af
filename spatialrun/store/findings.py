"""Findings: actions that came to different results from the same inputs.

What stands in the cache stays as it is. The finding keeps both sets of digests, with where and when each was
made, so that the step that is not reproducible is known by name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from spatialrun.store.backend import Backend

FOLDER = "findings"


@dataclass(frozen=True)
class Result:
    """What one attempt came to.

    Attributes
    ----------
    attempt
        Its name.
    digests
        Port to digest.
    provenance
        When it was made, with which versions.
    """

    attempt: str
    digests: Mapping[str, str]
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """Two results of one action that differ.

    Attributes
    ----------
    key
        The action's key.
    uses
        The step type.
    standing, other
        What the cache holds, and what the other attempt came to.
    """

    key: str
    uses: str
    standing: Result
    other: Result

    @property
    def ports(self) -> tuple[str, ...]:
        """The outputs that differ."""
        names = dict.fromkeys([*self.standing.digests, *self.other.digests])
        return tuple(n for n in names if self.standing.digests.get(n) != self.other.digests.get(n))

    def to_json(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Finding:
        """Rebuild a finding from plain data."""
        return cls(data["key"], data["uses"], Result(**data["standing"]), Result(**data["other"]))


class Findings:
    """The findings of a store: the first of each action is kept."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def add(self, finding: Finding) -> None:
        """Keep a finding, unless there is one of this action."""
        self._backend.create(_path(finding.key), json.dumps(finding.to_json(), indent=1).encode())

    def __iter__(self) -> Iterator[Finding]:
        for name in self._backend.list(FOLDER):
            content = self._backend.get(f"{FOLDER}/{name}") if name.endswith(".json") else None
            with suppress(ValueError, KeyError, TypeError):  # one that is torn
                yield Finding.from_json(json.loads(content or b""))


def _path(key: str) -> str:
    return f"{FOLDER}/{key}.json"

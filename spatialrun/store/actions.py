"""Action records: the map from an action's key to the objects that it made, with where they came from.

A record is created exclusively and never edited. Creating it is the one instant at which a task becomes done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spatialrun.store.attempts import Attempt
from spatialrun.store.backend import Backend
from spatialrun.store.elements import ObjectRef

SCHEMA = 1


@dataclass(frozen=True)
class ActionRecord:
    """What one action made.

    Attributes
    ----------
    key
        The action's key.
    attempt
        The attempt under ``data/`` whose outputs these are.
    outputs
        Port to object.
    identity
        What the key was made from: step type, version, stage, parameters, inputs, numerics.
    provenance
        Start, wall time, peak memory, log, versions of the distributions, processor.
    """

    key: str
    attempt: str
    outputs: Mapping[str, ObjectRef]
    identity: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Encode the record."""
        data = {
            "schema": SCHEMA,
            "key": self.key,
            "attempt": self.attempt,
            "outputs": {port: ref.to_json() for port, ref in self.outputs.items()},
            "identity": dict(self.identity),
            "provenance": dict(self.provenance),
        }
        return json.dumps(data, separators=(",", ":"), allow_nan=False).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> ActionRecord | None:
        """Decode a record; ``None`` for one that is torn or of another schema (it is computed anew)."""
        try:
            data = json.loads(content)
            if data["schema"] != SCHEMA:
                return None
            outputs = {port: ObjectRef.from_json(ref) for port, ref in data["outputs"].items()}
            return cls(data["key"], data["attempt"], outputs, data["identity"], data["provenance"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


class ActionCache:
    """The records of a store."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def get(self, key: str, exists: Callable[[str], bool] | None = None) -> ActionRecord | None:
        """Return the record of a key whose objects are still there; ``None`` to compute it (again).

        Who asks for many keys passes the backend's :meth:`~spatialrun.store.backend.Backend.presence`.
        """
        content = self._backend.get(_path(key))
        record = ActionRecord.from_bytes(content) if content is not None else None
        if record is None or record.key != key:
            return None
        exists = exists or self._backend.presence()
        objects = (ref for ref in record.outputs.values() if ref.kind != "export")
        return record if all(exists(ref.path) for ref in objects) else None

    def commit(self, attempt: Attempt, record: ActionRecord, *, replace: bool = False) -> ActionRecord:
        """Make an attempt visible; return the record that stands (another's, where another was first).

        A record that is torn, or whose objects are gone, is replaced; so is any with ``replace`` (an export that
        was written again).
        """
        attempt.verify()
        path, content = _path(record.key), record.to_bytes()
        while not self._backend.create(path, content):
            standing = self.get(record.key)
            if standing is not None and not replace:
                attempt.discard()
                return standing
            old = self._backend.get(path)
            if old is not None and self._backend.swap(path, old, content):
                break
        return record


def _path(key: str) -> str:
    return f"actions/{key[:2]}/{key}.json"

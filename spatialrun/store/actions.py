"""Action records: the map from an action's key to the objects that it made, with where they came from.

A record is created exclusively and never edited. Creating it is the one instant at which a task becomes done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spatialrun.store.attempts import Attempt
from spatialrun.store.backend import Backend
from spatialrun.store.elements import ObjectRef
from spatialrun.store.findings import Finding, Findings, Result
from spatialrun.store.tombstones import Tombstones

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
        self._tombstones = Tombstones(backend)
        self._findings = Findings(backend)

    def get(self, key: str, exists: Callable[[str], bool] | None = None) -> ActionRecord | None:
        """Return the record of a key whose objects are still there; ``None`` to compute it (again).

        Who asks for many keys passes the backend's :meth:`~spatialrun.store.backend.Backend.presence`.
        """
        return self._usable(self.read(key), exists or self._backend.presence())

    def commit(self, attempt: Attempt, record: ActionRecord, *, replace: bool = False) -> ActionRecord:
        """Make an attempt visible; return the record that stands (another's, where another was first).

        A record that is damaged, or whose objects are gone, is replaced; so is any with ``replace`` (an export
        that was written again). A record that holds other results is kept as a finding.
        """
        attempt.verify()
        path, content = record_path(record.key), record.to_bytes()
        while not self._backend.create(path, content):
            # What is judged is what is swapped: between two looks another may have put a whole record there.
            old = self._backend.get(path)
            if old == content:
                break  # its making was told as a failure: over a network, when an answer was lost
            before = _decoded(old, record.key)
            standing = self._usable(before, self._backend.presence())
            if standing is not None and not replace:
                self._compare(standing, record)
                attempt.discard()
                return standing
            if old is not None and self._backend.swap(path, old, content):
                if before is not None and not replace:
                    self._compare(record, before)
                break
        return record

    def read(self, key: str) -> ActionRecord | None:
        """Return the record of a key, whether its objects are still there or not; ``None`` for a torn one."""
        return _decoded(self._backend.get(record_path(key)), key)

    def keys(self) -> Iterator[str]:
        """Yield the key of every record."""
        for facts in self._backend.walk("actions"):
            name, _, suffix = facts.path.rpartition("/")[2].rpartition(".")
            if suffix == "json" and name:
                yield name

    def forget(self, record: ActionRecord) -> None:
        """Remove a record whose attempt is gone, unless another has taken its place.

        One that takes its place at this very moment may go, too: that task is computed once too often.
        """
        if self._backend.get(record_path(record.key)) == record.to_bytes():
            self._backend.delete(record_path(record.key))

    def _usable(self, record: ActionRecord | None, exists: Callable[[str], bool]) -> ActionRecord | None:
        """Return a record whose objects are there and are not about to be deleted."""
        if record is None or record.attempt in self._tombstones:
            return None
        objects = (ref for ref in record.outputs.values() if ref.kind != "export")
        return record if all(exists(ref.path) for ref in objects) else None

    def _compare(self, standing: ActionRecord, other: ActionRecord) -> None:
        """Keep a finding where two records of one action hold other results."""
        finding = Finding(
            standing.key, str(standing.identity.get("step", "")), _result(standing), _result(other)
        )
        if finding.ports:
            self._findings.add(finding)


def _decoded(content: bytes | None, key: str) -> ActionRecord | None:
    record = ActionRecord.from_bytes(content) if content is not None else None
    return record if record is not None and record.key == key else None


def _result(record: ActionRecord) -> Result:
    facts = {name: record.provenance[name] for name in ("started", "versions") if name in record.provenance}
    return Result(record.attempt, {port: ref.digest for port, ref in record.outputs.items()}, facts)


def record_path(key: str) -> str:
    """Return where the record of a key lies."""
    return f"actions/{key[:2]}/{key}.json"

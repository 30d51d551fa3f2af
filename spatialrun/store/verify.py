"""Verification: reads every object again and says what does not hold what was written.

Three things are compared: every file with the size and checksum in its attempt's manifest, every decoded value
with its digest, and every action record with the key that its identity makes. Nothing is changed. What a
collection is deleting, or was when it was killed, counts as deleted.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Literal

from spatialrun.errors import StoreError
from spatialrun.store.actions import record_path
from spatialrun.store.attempts import MANIFEST, attempt_of
from spatialrun.store.backend import guarded
from spatialrun.store.digests import StreamDigest, folder_digest, key_digest, value_digest
from spatialrun.store.elements import ObjectRef
from spatialrun.store.findings import Finding
from spatialrun.store.gc import unremoved
from spatialrun.store.runs import Run
from spatialrun.store.store import Store
from spatialrun.store.tombstones import Tombstones

Kind = Literal["missing", "size", "checksum", "digest", "unreadable", "record"]
PIECE = 1 << 22
"""Bytes of a file that are read at once."""
Progress = Callable[[int, int], None]
"""Called with how many attempts have been read, and how many there are."""


@dataclass(frozen=True)
class Fault:
    """Something that does not hold what was written.

    Attributes
    ----------
    kind
        ``missing``, ``size`` or ``checksum`` (a file), ``digest`` or ``unreadable`` (an object), ``record``.
    path
        Its place in the store.
    what
        What was found, in words.
    """

    kind: Kind
    path: str
    what: str


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes
    ----------
    objects, records, bytes
        How much was read.
    faults
        What is damaged, in the order of the paths.
    findings
        Actions that came to different results: of the whole store.
    lost
        Attempts that are gone, of which runs before the newest have results: a repair dropped them.
    """

    objects: int
    records: int
    bytes: int
    faults: tuple[Fault, ...]
    findings: tuple[Finding, ...]
    lost: tuple[str, ...] = ()

    @property
    def damaged(self) -> tuple[str, ...]:
        """The attempts that hold a fault."""
        attempts = (attempt_of(fault.path) for fault in self.faults if fault.path.startswith("data/"))
        return tuple(dict.fromkeys(attempts))

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self)


def verify(store: Store, run: str | None = None, progress: Progress | None = None) -> Verification:
    """Read all objects of a run again, or of the whole store.

    Parameters
    ----------
    store
        The store.
    run
        A run's id; all runs, and all that is in the cache, by default.
    progress
        Told after each attempt.

    Raises
    ------
    StoreError
        ``store.no-run``; ``store.corrupt`` where the manifest of the run cannot be read.
    """
    return _Verifier(store).verify(run, progress or _silent)


def repair(store: Store, found: Verification) -> tuple[str, ...]:
    """Drop the attempts that hold a fault, and records that are none; return the attempts.

    Applying the recipe computes them anew. Runs other than the newest lose what they had there.

    Raises
    ------
    StoreError
        ``store.permission`` where an attempt cannot be removed, when all others are.
    """
    for attempt in found.damaged:
        store.drop(f"data/{attempt}")
    for fault in found.faults:
        if fault.kind == "record":
            store.backend.delete(fault.path)
    if stuck := [attempt for attempt in found.damaged if store.backend.exists(f"data/{attempt}")]:
        raise unremoved(store.backend, [f"data/{attempt}" for attempt in stuck])
    return found.damaged


def _results(run: Run) -> Iterator[ObjectRef]:
    """Yield the objects that a run's tasks made."""
    return (ref for task in run.tasks.values() for ref in task.outputs.values())


def _by_attempt(refs: Iterable[ObjectRef]) -> dict[str, dict[str, ObjectRef]]:
    """Return the objects that lie in each attempt, by their paths."""
    found: dict[str, dict[str, ObjectRef]] = {}
    for ref in refs:
        if ref.path:
            found.setdefault(attempt_of(ref.path), {})[ref.path] = ref
    return found


def _silent(done: int, total: int) -> None:
    del done, total


class _Verifier:
    """One verification."""

    def __init__(self, store: Store) -> None:
        self.store, self.backend = store, store.backend
        self.going = frozenset(Tombstones(store.backend))
        self.faults: list[Fault] = []
        self.objects = self.records = self.bytes = 0

    def verify(self, run: str | None, progress: Progress) -> Verification:
        """Read what a run holds, or everything."""
        runs = [self.store.runs.get(name) for name in ([run] if run else self._runs())]
        keys = {task.key for one in runs for task in one.tasks.values() if task.outputs and task.key}
        held = _by_attempt(ref for one in runs for ref in _results(one))
        needed = _by_attempt(_results(runs[-1])) if runs else {}
        attempts = {attempt: dict(refs) for attempt, refs in held.items()}
        for key in keys if run else self.store.actions.keys():
            for attempt, refs in _by_attempt(self._record(key).values()).items():
                attempts.setdefault(attempt, {}).update(refs)
        lost = []
        for number, (attempt, refs) in enumerate(sorted(attempts.items()), start=1):
            # A record whose objects are all gone counts as none; of the newest run's results none may be gone.
            if attempt in needed or self.backend.exists(f"data/{attempt}"):
                self._attempt(attempt, refs.values())
            elif attempt in held:
                lost.append(attempt)
            progress(number, len(attempts))
        faults = tuple(sorted(self.faults, key=lambda fault: fault.path))
        findings = tuple(self.store.findings)
        return Verification(self.objects, self.records, self.bytes, faults, findings, tuple(lost))

    def _runs(self) -> Iterator[str]:
        return (name for name in self.store.runs.names() if name not in self.going)

    def _record(self, key: str) -> Mapping[str, ObjectRef]:
        """Check a record; return its outputs, none of one that is damaged.

        A run may outlive a record: its manifest says what it holds. An empty record is none.
        """
        self.records += 1
        record = self.store.actions.read(key)
        if record is None and not self.backend.size(record_path(key)):
            return {}
        if record is None:
            self._find("record", record_path(key), "cannot be read")
            return {}
        if "schema" in record.identity and key_digest("action", record.identity) != key:
            self._find("record", record_path(key), "does not belong to its key")
            return {}
        return record.outputs if record.attempt not in self.going else {}

    def _attempt(self, attempt: str, refs: Iterable[ObjectRef]) -> None:
        """Check the files of an attempt; then, where they are whole, the values in them."""
        damaged = set(self._files(attempt))
        for ref in refs:
            self.objects += 1
            inside = (path == ref.path or path.startswith(f"{ref.path}/") for path in damaged)
            if not any(inside):
                self._value(ref)

    def _files(self, attempt: str) -> Iterator[str]:
        """Yield the files of an attempt that are not what its manifest says."""
        path = f"data/{attempt}/{MANIFEST}"
        try:
            files = json.loads(self.backend.get(path) or b"")["files"].items()
        except (ValueError, KeyError, TypeError, AttributeError):
            whole = self.backend.exists(f"data/{attempt}")
            self._find("missing", path, "cannot be read" if whole else "is gone with its attempt")
            return
        for path, (size, checksum) in files:
            found = self._facts(path)
            if found is None:
                self._find("missing", path, "is missing")
            elif found[0] != size:
                self._find("size", path, f"holds {found[0]} bytes instead of {size}")
            elif found[1] != checksum:
                self._find("checksum", path, "does not hold the bytes that were written")
            else:
                self.bytes += size
                continue
            yield path

    def _facts(self, path: str) -> tuple[int, int] | None:
        """Return a file's size and CRC-32; ``None`` where it is missing.

        Read in pieces where it is on a file system: a step may have left one larger than the memory.
        """
        if self.backend.remote:
            content = self.backend.get(path)
            return None if content is None else (len(content), zlib.crc32(content))
        length, checksum = 0, 0
        file = self.backend.local(path)
        with (
            guarded(file, "read"),
            suppress(FileNotFoundError, NotADirectoryError),
            file.open("rb") as handle,
        ):
            while piece := handle.read(PIECE):
                length, checksum = length + len(piece), zlib.crc32(piece, checksum)
            return length, checksum
        return None

    def _value(self, ref: ObjectRef) -> None:
        """Decode an object and compare its digest."""
        try:
            found = self._digest(ref)
        except StoreError as error:
            self._find("unreadable", ref.path, error.what)
            return
        if found != ref.digest:
            self._find("digest", ref.path, "decodes to another value than was written")

    def _digest(self, ref: ObjectRef) -> str:
        """Return the digest of an object as it is now; large matrices are never read whole."""
        if ref.kind == "folder":
            return folder_digest(self.backend.local(ref.path))
        element = self.store.element(ref)
        if ref.kind != "sparse" or ref.meta["format"] != "csc":
            return value_digest(element.read())
        matrix = element.stream()
        if len(matrix.indptr) != matrix.shape[1] + 1:
            return ""
        digest = StreamDigest(matrix)
        for start, stop in matrix.stretches():
            digest.update(*matrix.entries(start, stop))
        return digest.hex()

    def _find(self, kind: Kind, path: str, what: str) -> None:
        self.faults.append(Fault(kind, path, what))

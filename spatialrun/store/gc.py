"""Garbage collection: deletes what no run holds, beside runs that are going on.

What may go: runs beyond the number or size to be kept; attempts that no run that is left holds; records of such
attempts; partial results, memories of sources and temporary files that are old. Runs are kept that are pinned,
newest, or relied on.

The protocol
------------
``apply`` (A) and ``gc`` (G) share no lock. Each writes first and looks second, so that of two that meet at least
one sees the other:

1. A writes its intent, which names the run before (``last``), and then looks whether ``last`` has a tombstone or
   is gone. If so it does without.
2. Whenever A comes to rely on an attempt that is neither its own nor held by ``last``, it writes that down beside
   its intent, and then looks whether the attempt has a tombstone or is gone. If so it computes the task anew.
3. A's own attempts carry its name, so its intent alone keeps them. The intent goes when the run is saved.
4. G reads intents, then runs, and chooses what is to go. Younger than the grace period is nothing that goes.
5. G puts a tombstone on each run and attempt that it has chosen.
6. G reads intents, then runs, again. What is needed now loses its tombstone and stays.
7. G deletes the rest: of an attempt the manifest first, then the other files, then its record, and last of all
   its tombstone. A record whose attempt has a tombstone or lacks objects counts as absent.

Either A's note (2) comes before G's second look (6), and G spares the attempt; or it comes after, so that A's own
look finds the tombstone of (5), or nothing at all. Where both see each other, a task is computed once too often.
Intents are read before runs because a run is saved before its intent goes. A killed G leaves tombstones, which
cost a recomputation at most: the next G goes on with what they stand on, and lifts those that stand on nothing.
A killed A leaves an intent, which counts no longer when its process is gone, or after a day of silence where that
cannot be seen.

The grace period is for those who write no intents: people who read an old run while it goes, whose programs fail
with a coded error in the worst case.
"""

from __future__ import annotations

import re
import time
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from spatialrun.errors import StoreError, Where
from spatialrun.store.actions import ActionRecord
from spatialrun.store.attempts import MANIFEST
from spatialrun.store.backend import Backend
from spatialrun.store.roots import Roots
from spatialrun.store.store import Store
from spatialrun.store.tombstones import Tombstones
from spatialrun.store.usage import Usage, total

HOUR, DAY = 3600.0, 86400.0
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\Z|probe-[0-9a-f]{32}\Z")


@dataclass(frozen=True)
class Policy:
    """What to keep.

    Attributes
    ----------
    keep_runs
        How many of the newest runs; all by default.
    max_size
        Bytes that the store may take: the oldest runs that are not pinned go until it fits.
    grace
        Seconds for which everything is kept.
    partial_age, source_age, temporary_age
        Seconds for which unfinished work, the digests of files outside the store, and files that are about to
        get their names are kept at least.
    """

    keep_runs: int | None = None
    max_size: int | None = None
    grace: float = HOUR
    partial_age: float = 14 * DAY
    source_age: float = 90 * DAY
    temporary_age: float = HOUR


@dataclass(frozen=True)
class Collection:
    """What went, or would go.

    Attributes
    ----------
    runs, attempts, partials
        Their names.
    records, files
        How many action records, and how many small files: temporary ones, old memories, leases.
    freed, left
        Bytes.
    """

    runs: tuple[str, ...]
    attempts: tuple[str, ...]
    partials: tuple[str, ...]
    records: int
    files: int
    freed: int
    left: int


def collect(store: Store, policy: Policy | None = None, *, dry_run: bool = False) -> Collection:
    """Delete what need not be kept; with ``dry_run``, only say what would be deleted.

    Raises
    ------
    StoreError
        ``store.corrupt`` where a run's manifest cannot be read; ``store.permission``, which says what cannot be
        removed.
    """
    return _Collector(store, policy or Policy()).run(dry_run=dry_run)


class _Collector:
    """One collection."""

    def __init__(self, store: Store, policy: Policy) -> None:
        self.store, self.policy = store, policy
        self.backend = store.backend
        self.tombstones = Tombstones(store.backend)
        self.now = time.time()
        self.records = {key: store.actions.read(key) for key in store.actions.keys()}  # noqa: SIM118
        self.usage = Usage.of(store.backend)  # after the records: their attempts were there before them
        self.roots = Roots.read(store, self._record)

    def run(self, *, dry_run: bool) -> Collection:
        """Choose, mark, look again, delete."""
        runs = self._runs()
        attempts = self._attempts(runs)
        if not dry_run:
            runs, attempts = self._mark(runs, attempts)
        partials, files, records = self._partials(), self._files(), self._records(attempts)
        gone = [*_named("runs", runs), *_named("data", attempts), *_named("partial", partials)]
        if not dry_run:
            self._delete(gone, files, records)
            self._lift([*runs, *attempts])
            if stuck := [folder for folder in gone if self._is_left(folder)]:
                raise unremoved(self.backend, stuck)
        left = self._size_without(gone, files)
        return Collection(
            runs=tuple(runs),
            attempts=tuple(attempts),
            partials=tuple(partials),
            records=len(records),
            files=len(files),
            freed=self._size_without() - left,
            left=left,
        )

    def _runs(self) -> list[str]:
        """Choose the runs that are to go: those beyond the number, those never saved, the oldest."""
        saved = list(self.roots.runs)
        known = {*saved, *self.roots.unsaved}
        old = [name for name in self.usage.within("runs") if self._is_old(f"runs/{name}")]
        may_go = set(old) - self.roots.kept
        keep = len(saved) if self.policy.keep_runs is None else self.policy.keep_runs
        chosen = [name for name in saved[: max(len(saved) - keep, 0)] if name in may_go]
        chosen += [name for name in old if name not in known]
        for name in saved:
            gone = [*_named("runs", chosen), *_named("data", self._attempts(chosen))]
            if self.policy.max_size is None or self._size_without(gone) <= self.policy.max_size:
                break
            if name in may_go and name not in chosen:
                chosen.append(name)
        return chosen

    def _attempts(self, dropped: Iterable[str]) -> list[str]:
        """Choose the attempts that are to go with some runs."""
        names = self.usage.within("data")
        held = self.roots.held(names, dropped)
        return [name for name in names if name not in held and self._is_old(f"data/{name}")]

    def _partials(self) -> list[str]:
        names = self.usage.within("partial")
        return [name for name in names if self._is_old(f"partial/{name}", self.policy.partial_age)]

    def _files(self) -> list[str]:
        """Choose old memories of sources, temporary files, and the leases and intents of the dead."""
        chosen = []
        for facts in (facts for files in self.usage.holders.values() for facts in files):
            if facts.path.startswith("sources/"):
                age = self.policy.source_age
            elif _TEMPORARY.match(facts.path.rpartition("/")[2]):
                age = self.policy.temporary_age
            else:
                continue
            if self.now - facts.modified >= max(age, self.policy.grace):
                chosen.append(facts.path)
        leases = list(self.store.leases)  # before the intents: whoever takes one has announced itself
        intents = {intent.run: intent.is_alive() for intent in self.store.intents}
        chosen += [path for path, run in leases if not intents.get(run)]
        return chosen + [f"intents/{run}" for run, alive in intents.items() if not alive]

    def _records(self, attempts: Iterable[str]) -> list[ActionRecord]:
        """Choose the records that are to go: of the attempts that go, or have gone."""
        left = set(self.usage.within("data")) - set(attempts)
        return [record for record in self.records.values() if record and record.attempt not in left]

    def _mark(self, runs: list[str], attempts: list[str]) -> tuple[list[str], list[str]]:
        """Mark what was chosen, look again at what is needed, and return what may go."""
        for name in [*runs, *attempts]:
            self.tombstones.place(name)
        now = Roots.read(self.store, self._record)
        going = [name for name in runs if name not in now.kept | now.unsaved]
        held = now.held(attempts, going)
        self._lift([*(set(runs) - set(going)), *held])
        return going, [name for name in attempts if name not in held]

    def _lift(self, names: Iterable[str]) -> None:
        for name in names:
            self.tombstones.lift(name)
        self.tombstones.lift_void()

    def _delete(self, folders: Iterable[str], files: Iterable[str], records: Iterable[ActionRecord]) -> None:
        """Delete folders, each beginning with its manifest, without which it does not count; then the rest."""
        for folder in folders:
            self.backend.delete(f"{folder}/{MANIFEST}")
            self.backend.delete(folder)
        for record in records:
            self.store.actions.forget(record)
        for path in files:
            self.backend.delete(path)

    def _is_left(self, folder: str) -> bool:
        """Whether a file of a folder is still there, and the same: unfinished work may have been begun anew."""
        known = set(self.usage.holders[folder])
        return any(facts in known for facts in self.backend.walk(folder))

    def _record(self, key: str) -> ActionRecord | None:
        """Look up a record; one that was made meanwhile is read now."""
        if self.records.get(key) is None:
            self.records[key] = self.store.actions.read(key)
        return self.records[key]

    def _is_old(self, holder: str, age: float = 0.0) -> bool:
        return self.now - self.usage.modified(holder) >= max(age, self.policy.grace)

    def _size_without(self, holders: Container[str] = (), files: Container[str] = ()) -> int:
        """Return the size of the store without a part of it."""
        kept = (facts for holder, facts in self.usage.holders.items() if holder not in holders)
        return total(file for facts in kept for file in facts if file.path not in files)


def unremoved(backend: Backend, folders: Sequence[str]) -> StoreError:
    """Return the error about folders that were to be deleted and are still there."""
    return StoreError(
        "store.permission",
        f"{', '.join(folders)} cannot be removed, or not all of it",
        where=Where(file=backend.url),
        hint="check the folders' owners and modes, and that nobody has a file in them open; then do it again",
    )


def _named(folder: str, names: Iterable[str]) -> list[str]:
    return [f"{folder}/{name}" for name in names]

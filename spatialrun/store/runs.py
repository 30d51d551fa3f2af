"""Runs: the manifest of one ``apply``, from every sample's slots to objects, and what each task did."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from spatialrun import markup, words
from spatialrun.errors import StoreError, Where
from spatialrun.store.backend import Backend
from spatialrun.store.elements import ObjectRef
from spatialrun.store.entries import Entries, TaskEntry
from spatialrun.store.tombstones import Tombstones

SCHEMA = 1


@dataclass(frozen=True)
class Run:
    """One ``apply``.

    Attributes
    ----------
    id
        Its name; sorts by time.
    created
        When it began, UTC, ISO 8601.
    status
        ``done`` or ``failed``.
    samples
        Sample to its metadata, in the order of the recipe.
    tasks
        ``(step, sample)`` to what was done.
    versions
        Of spatialrun and Python.
    sources
        The digests of the external files that the run stands on, as :class:`~spatialrun.store.sources.Sources`
        remembers them.
    asked
        What was asked for on top of the recipe, as options of the command line with their values: ``profile``,
        ``set``, ``until``, ``only``, ``samples``, ``force``.
    """

    id: str
    created: str
    status: str
    samples: Mapping[str, Mapping[str, Any]]
    tasks: Mapping[tuple[str, str], TaskEntry]
    versions: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        """A row for every step: how its tasks ended, their time in all and the most memory; errors below."""
        steps: dict[str, list[TaskEntry]] = {}
        for task in self.tasks.values():
            steps.setdefault(task.step, []).append(task)
        rows = [
            (
                step,
                tasks[0].uses,
                words.listed((n, status) for status, n in Counter(task.status for task in tasks).items()),
                words.duration(sum(task.facts.get("wall_s") or 0 for task in tasks)),
                words.size(max(task.facts.get("peak_rss") or 0 for task in tasks)),
            )
            for step, tasks in steps.items()
        ]
        errors = [
            (f"{task.step}, {task.sample}", str(error.get("code", "")), str(error.get("what", "")))
            for task in self.tasks.values()
            if (error := task.facts.get("error"))
        ]
        head = ("step", "uses", "tasks", "time", "memory")
        parts = [markup.table(rows, head), *([markup.table(errors)] if errors else [])]
        return markup.box("run", f"{self.id}: {self.status}", *parts)

    def slots(self, sample: str) -> dict[str, ObjectRef]:
        """Return a sample's slots, those written later last."""
        return dict(self._slots.get(sample, {}))

    @cached_property
    def _slots(self) -> Mapping[str, dict[str, ObjectRef]]:
        """The slots of every sample, gathered in one pass: runs of many samples are asked for each of them."""
        slots: dict[str, dict[str, ObjectRef]] = {}
        for task in self.tasks.values():
            for sample, slot, ref in task.places():
                slots.setdefault(sample, {})[slot] = ref
        return slots

    def to_bytes(self) -> bytes:
        """Encode the manifest: one document, in which every task has its line, and a checksum at the end."""
        head = {
            "schema": SCHEMA,
            "id": self.id,
            "created": self.created,
            "status": self.status,
            "versions": dict(self.versions),
            "samples": {name: dict(meta) for name, meta in self.samples.items()},
            "sources": dict(self.sources),
            "asked": {option: list(values) for option, values in self.asked.items()},
        }
        lines = [_json(task.to_json()) for task in self.tasks.values()]
        body = _json(head)[:-1] + _TASKS + _NEXT.join(lines)
        return body + _CHECKSUM + _checksum(body) + _END

    @classmethod
    def from_bytes(cls, content: bytes) -> Run:
        """Decode a manifest.

        Raises
        ------
        ValueError, KeyError, TypeError
            Where it is damaged.
        """
        body, _, end = content.rpartition(_CHECKSUM)
        if end != _checksum(body) + _END:
            raise ValueError("it is not what was written")
        head, _, lines = body.partition(_TASKS)
        data = json.loads(head + b"}")
        tasks = Entries(lines.split(_NEXT) if lines else ())
        id, created, status, samples = (data[name] for name in ("id", "created", "status", "samples"))
        return cls(
            id, created, status, samples, tasks, data["versions"], data["sources"], data.get("asked", {})
        )


class Runs:
    """The runs of a store."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def names(self) -> Iterator[str]:
        """Yield the ids of all runs, oldest first; what an interrupted ``apply`` left is no run."""
        exists: Callable[[str], bool] = self._backend.exists
        if self._backend.remote:  # one listing, where a look at each would be a request
            exists = frozenset(self._backend.sizes("runs")).__contains__
        for name in self._backend.list("runs"):
            if exists(_manifest(name)):
                yield name

    def latest(self) -> Run | None:
        """Return the newest run that can be read, or ``None`` where there is none.

        A damaged manifest must not end all work with a store: what was computed is still in the cache.
        """
        newest = (self._backend.get("latest") or b"").decode(errors="replace").strip()
        if newest and (run := self._readable(newest)):
            return run
        older = (self._readable(name) for name in reversed(list(self.names())) if name != newest)
        return next((run for run in older if run), None)

    def get(self, name: str) -> Run:
        """Return a run.

        Raises
        ------
        StoreError
            ``store.no-run``, or ``store.corrupt`` where its manifest cannot be read.
        """
        content = self._backend.get(_manifest(name))
        if content is None:
            known = list(self.names())
            hint = f"the newest run is {known[-1]}" if known else "apply a recipe first"
            raise StoreError(
                "store.no-run", f"there is no run {name!r}", where=Where(file=self._backend.url), hint=hint
            )
        try:
            return Run.from_bytes(content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(
                "store.corrupt",
                f"the manifest of run {name} cannot be read: {error}",
                where=Where(file=f"{self._backend.url}/runs/{name}/manifest.json"),
                hint="apply the recipe again: what was computed is still in the cache",
            ) from error

    def save(self, run: Run, recipe: str, written: Mapping[str, str] | None = None) -> None:
        """Save a run and its recipe; then make it the newest.

        Parameters
        ----------
        run
            The run.
        recipe
            What was really run, as one text.
        written
            Name to text of the files that it was made of.
        """
        self._backend.put(f"runs/{run.id}/recipe.yaml", recipe.encode())
        for name, text in (written or {}).items():
            self._backend.put(f"{_written(run.id)}/{name}", text.encode())
        self._backend.put(_manifest(run.id), run.to_bytes())
        self._backend.put("latest", run.id.encode())

    def stands(self, name: str) -> bool:
        """Whether a run is there and is not being deleted."""
        return name not in Tombstones(self._backend) and self._backend.exists(_manifest(name))

    def pinned(self) -> set[str]:
        """Return the runs that are kept whatever their age."""
        return {name for name in self.names() if self._backend.exists(_pin(name))}

    def pin(self, name: str) -> None:
        """Keep a run whatever its age.

        Raises
        ------
        StoreError
            ``store.no-run``.
        """
        self.get(name)
        self._backend.put(_pin(name), b"")

    def unpin(self, name: str) -> None:
        """Let a run go with the others of its age.

        Raises
        ------
        StoreError
            ``store.no-run``.
        """
        self.get(name)
        self._backend.delete(_pin(name))

    def recipe(self, name: str) -> str:
        """Return the recipe of a run: what was really run, as one text."""
        return (self._backend.get(f"runs/{name}/recipe.yaml") or b"").decode()

    def written(self, name: str) -> dict[str, str]:
        """Return the files that a run's recipe was made of, by name."""
        files = list(self._backend.list(_written(name)))
        return {file: (self._backend.get(f"{_written(name)}/{file}") or b"").decode() for file in files}

    def _readable(self, name: str) -> Run | None:
        try:
            return self.get(name)
        except StoreError as error:
            if error.code in ("store.no-run", "store.corrupt"):
                return None
            raise


_TASKS, _NEXT, _CHECKSUM, _END = b',"tasks":[\n', b",\n", b'\n],"checksum":"', b'"}\n'
"""What stands around the tasks of a manifest; nowhere else, as only it has line breaks."""


def _json(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=32).hexdigest().encode()


def _manifest(name: str) -> str:
    return f"runs/{name}/manifest.json"


def _written(name: str) -> str:
    return f"runs/{name}/sources"


def _pin(name: str) -> str:
    return f"runs/{name}/pin"

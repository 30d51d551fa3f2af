"""Usage: how many bytes of a store belong to what; a file of several names is counted once."""

from __future__ import annotations

import stat
from collections.abc import Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from spatialrun.store.backend import Backend, FileFacts

HELD = ("data", "runs", "partial")
"""Folders whose entries are counted one by one; all other files belong to the store as such."""


def total(files: Iterable[FileFacts]) -> int:
    """Return how many bytes files take; those of several names once."""
    sizes: dict[Hashable, int] = {facts.identity: facts.size for facts in files}
    return sum(sizes.values())


@dataclass(frozen=True)
class Usage:
    """The files of a store.

    Attributes
    ----------
    holders
        ``data/<attempt>``, ``runs/<run>``, ``partial/<key>`` to files; everything else under the empty name. A
        folder in which somebody was killed before there was a file is held by itself, with no bytes.
    """

    holders: Mapping[str, tuple[FileFacts, ...]]

    @classmethod
    def of(cls, backend: Backend) -> Usage:
        """Walk through a store."""
        holders: dict[str, list[FileFacts]] = {}
        for facts in backend.walk(""):
            folder, _, rest = facts.path.partition("/")
            entry, inner, _ = rest.partition("/")
            holder = f"{folder}/{entry}" if folder in HELD and inner else ""
            holders.setdefault(holder, []).append(facts)
        for path in (
            [] if backend.remote else [f"{held}/{name}" for held in HELD for name in backend.list(held)]
        ):
            if path not in holders and (folder_facts := _folder(backend, path)):
                holders[path] = [folder_facts]
        return cls({holder: tuple(files) for holder, files in holders.items()})

    def within(self, folder: str) -> list[str]:
        """Return the names that a folder holds, sorted: ``within("data")`` are the attempts."""
        return sorted(holder.partition("/")[2] for holder in self.holders if holder.startswith(f"{folder}/"))

    def size(self, holders: Iterable[str]) -> int:
        """Return how many bytes some holders take together."""
        return total(facts for holder in holders for facts in self.holders.get(holder, ()))

    def modified(self, holder: str) -> float:
        """Return when a holder was last written to, in seconds since the epoch."""
        return max((facts.modified for facts in self.holders.get(holder, ())), default=0.0)


def _folder(backend: Backend, path: str) -> FileFacts | None:
    """Return what is known of a folder as such; ``None`` where there is none."""
    with suppress(FileNotFoundError):
        found = backend.local(path).lstat()
        if stat.S_ISDIR(found.st_mode):
            return FileFacts(path, 0, found.st_mtime, (found.st_dev, found.st_ino))
    return None

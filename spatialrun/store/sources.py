"""Sources: the content of files outside the store, hashed once and remembered.

The memory is kept by path, size, time of change and inode, all hashed together: the store holds no path of the
machine, and can be moved. Each memory is a file, and the manifest of a run holds those that it used: whoever
has read that asks for no file.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from spatialrun.store.backend import Backend
from spatialrun.store.digests import file_digest, key_digest


class Sources:
    """Digests of external files; see DESIGN, "Keys and the cache"."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._known: dict[str, str] = {}
        self._used: dict[str, str] = {}

    @property
    def used(self) -> Mapping[str, str]:
        """What was asked for and remembered, for the manifest of a run."""
        return dict(sorted(self._used.items()))

    def learn(self, memories: Mapping[str, str]) -> None:
        """Take over what the manifest of a run holds."""
        self._known |= memories

    def recall(self, files: Mapping[str, Path]) -> str | None:
        """Return the digest of a set of files by role, if every one is remembered as it is now."""
        digests = {role: self._recall_file(path) for role, path in files.items()}
        if None in digests.values():
            return None
        return _joined(files, digests)

    def digest(self, files: Mapping[str, Path]) -> str:
        """Return the digest of a set of files by role, reading those that are not remembered."""
        digests: dict[str, str | None] = {}
        for role, path in files.items():
            known = self._recall_file(path)
            digests[role] = known if known is not None else self._remember(path)
        return _joined(files, digests)

    def _recall_file(self, path: Path) -> str | None:
        try:
            identity = _identity(path)
        except OSError:
            return None
        if identity not in self._known:
            content = self._backend.get(_path(identity))
            try:
                self._known[identity] = json.loads(content)["digest"] if content else ""
            except (ValueError, KeyError, TypeError):
                return None
        if digest := self._known[identity]:
            self._used[identity] = digest
        return digest or None

    def _remember(self, path: Path) -> str:
        identity = _identity(path)
        digest = file_digest(path)
        if _identity(path) == identity:  # else it was changed while it was read: hash it again next time
            self._known[identity] = self._used[identity] = digest
            self._backend.put(_path(identity), json.dumps({"digest": digest}).encode())
        return digest


def parts_of(path: Path) -> dict[str, Path]:
    """Return the files that an export has made, by role: a file itself, or a folder's by their names."""
    if not path.is_dir():
        return {"file": path}
    return {file.relative_to(path).as_posix(): file for file in sorted(path.rglob("*")) if file.is_file()}


def _identity(path: Path) -> str:
    facts = path.lstat()
    if stat.S_ISLNK(facts.st_mode):
        place, facts = os.path.realpath(path), path.stat()
    else:
        place = f"{_real_folder(str(path.parent))}/{path.name}"
    return key_digest("source", [place, facts.st_size, facts.st_mtime_ns, facts.st_ino])


@lru_cache(maxsize=16)
def _real_folder(path: str) -> str:
    """Return a folder's path without links: a sample's files, which are asked for together, share a few."""
    return os.path.realpath(path).rstrip("/")


def _joined(files: Mapping[str, Path], digests: Mapping[str, str | None]) -> str:
    """Join by role and kind of file: where the files lie and what they are called does not matter."""
    return key_digest("sources", {role: [_kind(files[role]), digest] for role, digest in digests.items()})


def _kind(path: Path) -> str:
    return "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix


def _path(identity: str) -> str:
    return f"sources/{identity[:2]}/{identity}.json"

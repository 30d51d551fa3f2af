"""Mirrors: inputs in a bucket, brought to a folder of this machine, as readers read files.

A mirror is named by what it holds: every file's name, size and version. So it never changes, an input that has
not changed is listed and not fetched again, and one that has is another mirror.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

from spatialrun.errors import DataError, Where
from spatialrun.store.digests import key_digest
from spatialrun.store.remote import RemoteBackend

CACHE = "SPATIALRUN_CACHE"


def cache_folder() -> Path:
    """Return the folder of the mirrors: ``$SPATIALRUN_CACHE``, else one in the user's cache."""
    if given := os.environ.get(CACHE):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spatialrun"


def mirror(url: str, needed: Callable[[Iterable[str]], Iterable[str]]) -> Path:
    """Bring a file or folder here, if it is not here yet, and return where it is.

    Parameters
    ----------
    url
        ``s3://bucket/outs``, ``gs://bucket/sample.h5ad`` ...
    needed
        Chooses among the names of the files of a folder, relative to it.

    Raises
    ------
    DataError
        ``data.missing-file`` where nothing is there.
    StoreError
        ``store.unreachable``, ``store.permission``, ``store.url``, ``store.no-client``.
    """
    parent, _, name = url.rstrip("/").rpartition("/")
    backend = RemoteBackend(parent)
    found = {path.removeprefix(f"{name}/"): facts for path, facts in backend.facts(name).items()}
    chosen = {file: found[file] for file in needed(found)} if name not in found else found
    if not chosen:
        raise DataError(
            "data.missing-file",
            "there is no such file or folder" if not found else "the folder holds no file that readers know",
            where=Where(file=f"{backend.url}/{name}"),
            hint="check the path; the credentials may also be those of another account",
        )
    facts = {file: [entry.size, entry.version] for file, entry in chosen.items()}
    home = cache_folder() / "inputs" / key_digest("mirror", [f"{backend.url}/{name}", facts])[:32]
    if not home.is_dir():
        _fetch(backend, name, chosen, home)
    return home / name


def _fetch(backend: RemoteBackend, name: str, files: Iterable[str], home: Path) -> None:
    """Fetch files into a folder that appears when it is whole."""
    temporary = home.with_name(f".{home.name}.{uuid.uuid4().hex[:8]}")
    try:
        places = [file if file == name else f"{name}/{file}" for file in files]
        backend.bring({place: temporary / place for place in places})
        temporary.rename(home)
    except OSError:
        if not home.is_dir():  # else another process was first
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

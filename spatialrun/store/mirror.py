"""Mirrors: inputs in a bucket, brought to a folder of this machine, as readers read files.

A mirror is named by what it holds: every file's name, size and version. So it never changes, an input that has
not changed is listed and not fetched again, and one that has is another mirror.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from spatialrun.errors import DataError, StoreError, Where
from spatialrun.store.digests import key_digest
from spatialrun.store.remote import Facts, RemoteBackend

CACHE = "SPATIALRUN_CACHE"
FEW = 3
"""From how many inputs on they are listed together."""


def cache_folder() -> Path:
    """Return the folder of the mirrors: ``$SPATIALRUN_CACHE``, else one in the user's cache."""
    if given := os.environ.get(CACHE):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spatialrun"


class Listings:
    """What is in each of several inputs: those in one folder are listed together, as a request takes its time.

    Parameters
    ----------
    urls
        The inputs that will be asked for.
    """

    def __init__(self, urls: Iterable[str]) -> None:
        self._urls = list(dict.fromkeys(urls))
        self._known: dict[str, dict[str, Facts]] | None = None

    def files(self, url: str) -> dict[str, Facts]:
        """Return the files of an input by their names in it; by its own name where it is a file.

        Raises
        ------
        StoreError
            ``store.unreachable``, ``store.permission``, ``store.url``, ``store.no-client``.
        """
        if self._known is None:
            self._known = self._listed_together()
        if url in self._known:
            return self._known[url]
        backend, name = _place(url)
        return {path.removeprefix(f"{name}/"): facts for path, facts in backend.facts(name).items()}

    def _listed_together(self) -> dict[str, dict[str, Facts]]:
        places = defaultdict(list)
        for url in self._urls:
            places[tuple(url.split("/")[:3])].append(url)
        known: dict[str, dict[str, Facts]] = {}
        for urls in places.values():
            if len(urls) >= FEW:
                known |= _list_together(urls)
        return known


def _list_together(urls: Sequence[str]) -> dict[str, dict[str, Facts]]:
    """List the folder that holds several inputs; nothing where it holds so much that it takes longer."""
    scheme = urls[0].partition("://")[0]
    folders = [url.rstrip("/").removeprefix(f"{scheme}://").rpartition("/")[0] for url in urls]
    root = f"{scheme}://{posixpath.commonpath(folders)}"
    names = {url.rstrip("/")[len(root) + 1 :]: url for url in urls}
    known: dict[str, dict[str, Facts]] = defaultdict(dict)
    try:
        listing = RemoteBackend(root).facts("", pages=len(urls))
    except StoreError:  # the folder may be out of bounds where what is in it is not
        return {}
    for path, facts in (listing or {}).items():
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            if url := names.get("/".join(parts[:depth])):
                known[url]["/".join(parts[depth:]) or parts[-1]] = facts
    return known


def _place(url: str) -> tuple[RemoteBackend, str]:
    """Return the folder that an input is in, and its name there."""
    parent, _, name = url.rstrip("/").rpartition("/")
    return RemoteBackend(parent), name


def mirror(
    url: str, needed: Callable[[Iterable[str]], Iterable[str]], listings: Listings | None = None
) -> Path:
    """Bring a file or folder here, if it is not here yet, and return where it is.

    Parameters
    ----------
    url
        ``s3://bucket/outs``, ``gs://bucket/sample.h5ad`` ...
    needed
        Chooses among the names of the files of a folder, relative to it.
    listings
        Those of all inputs, where there are several.

    Raises
    ------
    DataError
        ``data.missing-file`` where nothing is there.
    StoreError
        ``store.unreachable``, ``store.permission``, ``store.url``, ``store.no-client``.
    """
    backend, name = _place(url)
    found = (listings or Listings([url])).files(url)
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

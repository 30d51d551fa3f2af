"""A store: objects, actions and runs in one place."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from spatialrun.errors import StoreError, Where
from spatialrun.store.actions import ActionCache
from spatialrun.store.attempts import Attempt, attempt_of
from spatialrun.store.backend import Backend, guarded
from spatialrun.store.elements import ObjectRef, StoredElement
from spatialrun.store.findings import Findings
from spatialrun.store.intents import Intents
from spatialrun.store.leases import Leases
from spatialrun.store.local import LocalBackend
from spatialrun.store.partial import Partial
from spatialrun.store.remote import RemoteBackend
from spatialrun.store.runs import Runs
from spatialrun.store.sources import Sources

FORMAT = 1
_HEADER = "store.json"
_WHOLE = json.dumps({"spatialrun store": FORMAT}).encode()
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Store:
    """Everything that is kept under one folder or bucket; see DESIGN, "On disk"."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.actions = ActionCache(backend)
        self.runs = Runs(backend)
        self.sources = Sources(backend)
        self.intents = Intents(backend)
        self.leases = Leases(backend, self.intents)
        self.findings = Findings(backend)

    @property
    def url(self) -> str:
        """Where the store is."""
        return self.backend.url

    def attempt(self, run: str = "") -> Attempt:
        """Begin an attempt at an action, on behalf of a run."""
        return Attempt(self.backend, run)

    def partial(self, key: str) -> Partial:
        """Return the unfinished work of an action."""
        return Partial(self.backend, key)

    def element(self, ref: ObjectRef) -> StoredElement:
        """Return a lazy handle on an object."""
        return StoredElement(self.backend, ref)

    def drop(self, path: str) -> None:
        """Remove a damaged object, with all that was made in the same attempt: it is then computed anew.

        The action's record stays. It no longer counts, as its objects are gone, until it is replaced.
        """
        self.backend.delete(f"data/{attempt_of(path)}")


def open_store(url: str | Path) -> Store:
    """Open the store at ``url``.

    Raises
    ------
    StoreError
        ``store.missing``, ``store.not-a-store``, ``store.newer-format``, ``store.permission``.
    """
    backend = _backend(url)
    header = backend.get(_HEADER)
    if not header:
        raise StoreError(
            "store.missing",
            "there is no store here",
            where=Where(file=backend.url),
            hint="`spatialrun apply RECIPE` makes it; check the path if there should be one",
        )
    _check_header(backend, header)
    return Store(backend)


def create_store(url: str | Path) -> Store:
    """Open the store at ``url``, making it where there is nothing yet.

    Raises
    ------
    StoreError
        As :func:`open_store`; ``store.not-a-store`` too where the folder holds something else.
    """
    backend = _backend(url)
    header = backend.get(_HEADER)
    if not header:  # an empty one is that of somebody who was killed while making the store
        # Names with a dot are left out: half-written headers, and what file managers leave behind.
        others = [name for name in backend.list("") if not name.startswith(".") and name != _HEADER]
        # Looked for once more: whoever makes the store at the same time writes the header first.
        if others and not backend.get(_HEADER):
            raise StoreError(
                "store.not-a-store",
                "the folder holds files, but no store",
                where=Where(file=backend.url),
                hint="name an empty or new folder as `store:`",
            )
        backend.create(_HEADER, _WHOLE)
        header = backend.get(_HEADER) or b""
    _check_header(backend, header)
    return Store(backend)


def _backend(url: str | Path) -> Backend:
    if isinstance(url, str) and _URL.match(url):
        parts = urlsplit(url)
        if parts.scheme != "file" or parts.netloc:
            return RemoteBackend(url)
        url = url2pathname(parts.path)
    root = Path(url).expanduser().absolute()
    with guarded(root, "read"):
        is_file = root.exists() and not root.is_dir()
    if is_file:
        raise StoreError(
            "store.not-a-store",
            "the store's path is a file",
            where=Where(file=str(root)),
            hint="name a folder as `store:`",
        )
    return LocalBackend(root)


def _check_header(backend: Backend, header: bytes) -> None:
    try:
        found = json.loads(header)["spatialrun store"]
        newer = found > FORMAT
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            "store.not-a-store",
            "store.json is not a store's header",
            where=Where(file=f"{backend.url}/{_HEADER}"),
            hint="name an empty or new folder as `store:`",
        ) from error
    if newer:
        raise StoreError(
            "store.newer-format",
            f"the store has format {found}; this spatialrun knows formats up to {FORMAT}",
            where=Where(file=f"{backend.url}/{_HEADER}"),
            hint="upgrade: pip install --upgrade spatialrun",
        )

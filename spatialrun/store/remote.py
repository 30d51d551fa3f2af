"""The remote backend: a folder of a bucket, by way of obstore.

What a file system gives for nothing is kept in mind here: a request costs 30 milliseconds and a fraction of a
cent, may be refused, may be done though nobody says so. So folders are listed rather than files looked up, many
files are moved at once, and every request is tried again.
"""

from __future__ import annotations

import shlex
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialrun.errors import StoreError, Where
from spatialrun.store.backend import FileFacts
from spatialrun.store.buckets import clean_url, open_bucket
from spatialrun.store.requests import Patience, Requests
from spatialrun.store.scratch import scratch_folder

if TYPE_CHECKING:
    from obstore import PutMode, UpdateVersion
    from zarr.abc.store import Store as ZarrStore

AT_ONCE = 8
"""How many files are moved at the same time."""
PAGE = 1000
"""How many files a server lists at a time."""
_UNIMPLEMENTED = "status code: 501"
"""What obstore says where a server answers that it does not know how to do what it is asked."""
FEW = 3
"""From how many attempts on it is cheaper to list them all."""


@dataclass(frozen=True)
class Facts:
    """A file's size, in bytes, and the server's name for its version."""

    size: int
    version: str


class RemoteBackend:
    """Files under one folder of a bucket; see :class:`spatialrun.store.backend.Backend`.

    Parameters
    ----------
    url
        ``s3://bucket/folder``, ``gs://``, ``az://``, ``abfs://``; ``memory://name`` for tests.
    patience
        How often failing requests are tried.

    Raises
    ------
    StoreError
        ``store.url``, ``store.no-client``.
    """

    remote = True

    def __init__(self, url: str, patience: Patience | None = None) -> None:
        self.url = clean_url(url)
        self.private = self.url.startswith("memory://")
        self._bucket = open_bucket(url)
        self._requests = Requests(self.url, patience or Patience())
        self._staged: dict[str, Path] = {}
        self._brought: dict[str, Path] = {}

    def __repr__(self) -> str:
        return f"RemoteBackend({self.url!r})"

    def get(self, path: str) -> bytes | None:
        """Return a file's content, or ``None``."""
        found = self._get(path)
        return None if found is None else found[0]

    def put(self, path: str, content: bytes) -> None:
        """Write a file; nobody sees it before it is whole."""
        self._put(path, content, "overwrite")

    def create(self, path: str, content: bytes) -> bool:
        """Write a file unless there is one: a write on the condition that there is none.

        A store that knows no such condition is looked at first, which two writers may do at the same time:
        :meth:`check_commit` has refused it, unless the recipe does without.
        """
        from obstore.exceptions import NotSupportedError

        try:
            return self._put_if(path, content, "create")
        except NotSupportedError:
            if self.size(path) is not None:
                return False
            self.put(path, content)
            return True

    def swap(self, path: str, old: bytes, new: bytes) -> bool:
        """Replace a file whose content is ``old``, on the condition that it is still the one that was read.

        A store that knows no such condition: as with :meth:`create`.
        """
        from obstore.exceptions import NotSupportedError

        found = self._get(path)
        if found is None or found[0] != old:
            return False
        try:
            return self._put_if(path, new, found[1])
        except NotSupportedError:
            self.put(path, new)
            return True

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder; for many, ask :meth:`presence`."""
        return self.size(path) is not None or next(self.list(path), None) is not None

    def presence(self) -> Callable[[str], bool]:
        """Return a test of whether objects exist, which need not ask for each."""
        return _Presence(self)

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the names in a folder, sorted."""
        import obstore

        found: Any = self._requests.run(
            lambda: obstore.list_with_delimiter(self._bucket, prefix=prefix or None)
        )
        paths = [*found["common_prefixes"], *(facts["path"] for facts in found["objects"])]
        yield from sorted(path.rpartition("/")[2] for path in paths)

    def size(self, path: str) -> int | None:
        """Return a file's size in bytes, or ``None``."""
        import obstore

        with suppress(FileNotFoundError):
            return int(self._requests.run(lambda: obstore.head(self._bucket, path))["size"])
        return None

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return the size of every file of a folder, by path."""
        return {facts.path: facts.size for facts in self.walk(prefix)}

    def walk(self, prefix: str) -> Iterator[FileFacts]:
        """Yield what is known of every file of a folder."""
        import obstore

        found: Any = self._requests.run(lambda: obstore.list(self._bucket, prefix=prefix or None).collect())
        for facts in found:
            path, modified = facts["path"], facts["last_modified"].timestamp()
            yield FileFacts(path, int(facts["size"]), modified, path)

    def facts(self, path: str, pages: int | None = None) -> dict[str, Facts]:
        """Return what tells the versions of a file, or of every file of a folder, apart; by path.

        With ``pages``, nothing where it takes more requests than these to list the folder.
        """
        import obstore

        def request() -> list[Any]:
            found: list[Any] = []
            for number, page in enumerate(obstore.list(self._bucket, prefix=path or None, chunk_size=PAGE)):
                if pages is not None and number >= pages:
                    return []
                found += page
            return found

        found = self._requests.run(request)
        if not found and path:
            with suppress(FileNotFoundError):
                found = [self._requests.run(lambda: obstore.head(self._bucket, path))]
        return {
            each["path"]: Facts(
                int(each["size"]), str(each["version"] or each["e_tag"] or each["last_modified"])
            )
            for each in found
        }

    def delete(self, path: str) -> None:
        """Remove a file or folder, if it is there."""
        import obstore

        paths = [*self.sizes(path), path]
        with suppress(
            FileNotFoundError
        ):  # of providers that delete one by one, some mind what is gone already
            self._requests.run(lambda: obstore.delete(self._bucket, paths))

    def zarr(self, prefix: str, *, read_only: bool = True) -> ZarrStore:
        """Return a zarr store over a folder."""
        from spatialrun.store.remote_zarr import RemoteZarr

        return RemoteZarr(self._bucket, self._requests, prefix, read_only=read_only)

    def local(self, path: str) -> Path:
        """Bring a file or folder here, once; what is being written is here already."""
        if path in self._staged:
            return self._staged[path]
        if path not in self._brought:
            target = scratch_folder() / path.rpartition("/")[2]
            files = self.sizes(path)
            if files:
                self.bring({name: target / name[len(path) + 1 :] for name in files})
            else:
                self._bring(path, target)
            self._brought[path] = target
        return self._brought[path]

    def bring(self, files: Mapping[str, Path]) -> None:
        """Download files to where they are to be."""
        self._each(lambda item: self._bring(*item), files.items())

    def folder(self, path: str) -> Path:
        """Return a folder to write to, which :meth:`publish` makes part of the store."""
        if path not in self._staged:
            self._staged[path] = scratch_folder() / path.rpartition("/")[2]
            self._staged[path].mkdir()
        return self._staged[path]

    def publish(self, path: str) -> None:
        """Upload what was written to :meth:`folder`."""
        root = self._staged[path]
        files = [file for file in root.rglob("*") if file.is_file()]
        self._each(lambda file: self._upload(file, f"{path}/{file.relative_to(root).as_posix()}"), files)
        del self._staged[path]
        shutil.rmtree(root.parent, ignore_errors=True)

    def link(self, source: str, target: str) -> None:
        """Copy a file or folder within the server."""
        import obstore

        def copy(name: str) -> None:
            goal = target + name[len(source) :]
            self._requests.run(lambda: obstore.copy(self._bucket, name, goal))

        self._each(copy, self.sizes(source) or [source])

    def sync(self, paths: Iterable[str]) -> None:
        """Nothing to do: what the server has confirmed is durable."""

    def share(self, prefix: str) -> None:
        """Nothing to do: the bucket says who may do what."""

    def check_commit(self, *, conditional: bool = True) -> None:
        """Find out whether results can be kept: writing, and writing on a condition, which commits stand on.

        Raises
        ------
        StoreError
            ``store.permission``, ``store.unreachable``; with ``conditional``, ``store.conditional-writes``.
        """
        from obstore.exceptions import NotSupportedError

        path = f"partial/probe-{uuid.uuid4().hex}"
        try:
            if not conditional:
                self.put(path, b"1")
                return
            try:
                honoured = self._put_if(path, b"1", "create")
                honoured = honoured and not self._put_if(path, b"2", "create")
                honoured = honoured and self._refuses_the_outdated(path)
            except NotSupportedError:
                honoured = False
        finally:
            self.delete(path)
        if not honoured:
            raise StoreError(
                "store.conditional-writes",
                "the object store lets one writer overwrite what another has just written (it does not honour "
                "If-None-Match and If-Match)",
                where=Where(file=self.url),
                hint="use a store that does (Amazon S3, Google Cloud Storage, Azure, MinIO, R2 ... in their "
                "present versions); or, if never more than one `apply` runs at a time, let the recipe say "
                "`unsafe: [conditional-writes]`",
            )

    def removal(self, path: str) -> str:
        """Return the command that removes an object: with its attempt, as which objects are looked for."""
        attempt = "/".join(path.split("/")[:2]) if path.startswith("data/") else path
        place = shlex.quote(f"{self.url}/{attempt}")
        tools = {"s3": "aws s3 rm --recursive", "gs": "gcloud storage rm --recursive"}
        return f"{tools.get(self.url.partition(':')[0], 'remove')} {place}"

    def _get(self, path: str) -> tuple[bytes, PutMode] | None:
        """Return a file's content, and the condition that it is still the one."""
        import obstore

        def request() -> tuple[bytes, PutMode]:
            answer = obstore.get(self._bucket, path)
            condition: UpdateVersion = {"e_tag": answer.meta["e_tag"]}
            if answer.meta["version"] is not None:
                condition["version"] = answer.meta["version"]
            return bytes(answer.bytes()), condition

        with suppress(FileNotFoundError):
            return self._requests.run(request)
        return None

    def _put(self, path: str, content: bytes, mode: PutMode) -> None:
        import obstore

        self._requests.run(lambda: obstore.put(self._bucket, path, content, mode=mode, use_multipart=False))

    def _put_if(self, path: str, content: bytes, mode: PutMode) -> bool:
        """Write on a condition; say whether it held.

        A try whose answer was lost may have been carried out: then the condition fails at the next try, and what
        stands there is ours.

        Raises
        ------
        NotSupportedError
            obstore's own, where the store knows no such condition.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PreconditionError

        tries = 0

        def request() -> None:
            nonlocal tries
            tries += 1
            try:
                obstore.put(self._bucket, path, content, mode=mode, use_multipart=False)
            except BaseError as error:
                if _UNIMPLEMENTED in str(error):
                    raise NotSupportedError("the server implements no such condition") from None
                raise

        try:
            self._requests.run(request)
        except (AlreadyExistsError, PreconditionError):
            return tries > 1 and self.get(path) == content
        return True

    def _refuses_the_outdated(self, path: str) -> bool:
        """Whether a file cannot be replaced on the condition that it is one which has been replaced already."""
        found = self._get(path)
        self.put(path, b"3")
        return found is not None and not self._put_if(path, b"4", found[1])

    def _bring(self, path: str, target: Path) -> None:
        """Download a file, piece by piece."""
        import obstore

        target.parent.mkdir(parents=True, exist_ok=True)

        def request() -> None:
            answer = obstore.get(self._bucket, path)
            with target.open("wb") as file:
                for piece in answer.stream():
                    file.write(piece)
            if target.stat().st_size != answer.meta["size"]:
                raise OSError(f"{path} broke off")

        self._requests.run(request)

    def _upload(self, file: Path, path: str) -> None:
        import obstore

        self._requests.run(lambda: obstore.put(self._bucket, path, file))

    def _each(self, act: Callable[[Any], None], things: Iterable[Any]) -> None:
        """Do something to many files, several at a time; the first failure ends it."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(act, things))


class _Presence:
    """Whether objects exist: an attempt stands whole, or is gone.

    A few attempts are looked up one by one; when there are more, all are listed.
    """

    def __init__(self, backend: RemoteBackend) -> None:
        self._backend = backend
        self._known: set[str] = set()
        self._asked = 0

    def __call__(self, path: str) -> bool:
        folder, attempt, *_ = path.split("/")
        if folder != "data":
            return self._backend.exists(path)
        if attempt not in self._known:
            self._asked += 1
            if self._asked == FEW:
                self._known.update(self._backend.list("data"))
            elif next(self._backend.list(f"data/{attempt}"), None) is not None:
                self._known.add(attempt)
        return attempt in self._known

"""The local backend: a folder of a file system that has hard links (and copies where there are none).

Everything in a store has the mode of the store's own folder, whatever the umask of who writes it: a store in a
folder that a group may write is the group's.
"""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from spatialrun.store.backend import FileFacts, guarded, refusal

if TYPE_CHECKING:
    from zarr.abc.store import Store as ZarrStore

_NO_LINKS = {errno.EPERM, errno.EXDEV, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}


class LocalBackend:
    """Files under one folder; see :class:`spatialrun.store.backend.Backend`."""

    remote = False
    private = False

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def url(self) -> str:
        """The folder."""
        return str(self.root)

    def get(self, path: str) -> bytes | None:
        """Return a file's content, or ``None``."""
        with guarded(self.root / path, "read"), suppress(FileNotFoundError, NotADirectoryError):
            return (self.root / path).read_bytes()
        return None

    def put(self, path: str, content: bytes) -> None:
        """Write a file whole or not at all."""
        target = self.root / path
        with self._temporary(target, content) as temporary:
            temporary.replace(target)
            _sync(target.parent)

    def create(self, path: str, content: bytes) -> bool:
        """Write a file unless there is one: a hard link to its name is the one instant at which it appears.

        An empty file counts as none. Where there are no hard links, it is what is left of one who claimed the
        name and was killed.
        """
        target = self.root / path
        with self._temporary(target, content) as temporary:
            try:
                os.link(temporary, target)
            except FileExistsError:
                # NFS says so of our own link, too, when its first answer was lost.
                if not _is_same(temporary, target):
                    return self._take_over(path, content)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                return self._create_without_links(temporary, path, content)
            _sync(target.parent)
        return True

    def swap(self, path: str, old: bytes, new: bytes) -> bool:
        """Replace a file whose content is ``old``.

        The lock is on the file that is replaced, so that it goes when its holder does: nobody ever has to unlock.
        """
        target = self.root / path
        try:
            handle = target.open("rb")
        except FileNotFoundError:
            return False
        with handle:
            _lock(handle.fileno())
            if handle.read() != old or not _is_at(handle.fileno(), target):
                return False
            self.put(path, new)
        return True

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder."""
        place = f"{self.root}/{path}"
        try:
            os.stat(place)  # noqa: PTH116  (many objects, quickly)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise refusal(error, place, "read") from error
        return True

    def presence(self) -> Callable[[str], bool]:
        """Return a test of whether objects exist: a look at each."""
        return self.exists

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the names in a folder, sorted."""
        with guarded(self.root / prefix, "read"), suppress(FileNotFoundError, NotADirectoryError):
            yield from sorted(os.listdir(self.root / prefix))  # noqa: PTH208  (10,000 names, quickly)

    def size(self, path: str) -> int | None:
        """Return a file's size in bytes, or ``None``."""
        with guarded(self.root / path, "read"), suppress(FileNotFoundError, NotADirectoryError):
            return (self.root / path).stat().st_size
        return None

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return the size of every file below a folder, by path."""
        found = {}
        for folder, _, names in os.walk(self.root / prefix):
            parent = Path(folder).relative_to(self.root).as_posix()
            for name in names:
                if (size := self.size(f"{parent}/{name}")) is not None:
                    found[f"{parent}/{name}"] = size
        return found

    def walk(self, prefix: str) -> Iterator[FileFacts]:
        """Yield what is known of every file below a folder; what is removed meanwhile is left out."""
        for folder, _, names in os.walk(self.root / prefix):
            parent = Path(folder).relative_to(self.root)
            for name in names:
                with suppress(FileNotFoundError):
                    facts = os.lstat(os.path.join(folder, name))  # noqa: PTH118  (many files, quickly)
                    identity = (facts.st_dev, facts.st_ino)
                    yield FileFacts((parent / name).as_posix(), facts.st_size, facts.st_mtime, identity)

    def delete(self, path: str) -> None:
        """Remove a file or folder, if it is there."""
        target = self.root / path
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target, ignore_errors=True)
        else:
            with guarded(target, "written"), suppress(FileNotFoundError, NotADirectoryError):
                target.unlink()

    def zarr(self, prefix: str, *, read_only: bool = True) -> ZarrStore:
        """Return a zarr store over a folder."""
        from spatialrun.store.zarr_stores import LinklessStore

        if not read_only:
            self.folder(prefix)
        return LinklessStore(self.root / prefix, read_only=read_only)

    def local(self, path: str) -> Path:
        """Return the real path."""
        return self.root / path

    def folder(self, path: str) -> Path:
        """Make a folder, if it is not there, and return its path."""
        with guarded(self.root / path, "written"):
            self._make_folder(self.root / path)
        return self.root / path

    def publish(self, path: str) -> None:
        """Nothing to do: the folder is in the store."""

    def link(self, source: str, target: str) -> None:
        """Hard-link a file or every file of a folder; copy where the file system has no hard links."""
        start, end = self.root / source, self.root / target
        with guarded(end, "written"):
            if not start.is_dir():
                self._make_folder(end.parent)
                _link_or_copy(start, end)
                return
            for folder, _, names in os.walk(start):
                goal = end / Path(folder).relative_to(start)
                self._make_folder(goal)
                for name in names:
                    _link_or_copy(Path(folder, name), goal / name)

    def sync(self, paths: Iterable[str]) -> None:
        """Make files and the folders that hold them durable."""
        files = list(paths)
        folders = {str(parent) for path in files for parent in PurePosixPath(path).parents}
        for path in [*files, *folders]:
            with guarded(self.root / path, "written"):
                _sync(self.root / path)

    def share(self, prefix: str) -> None:
        """Give a folder and all in it the mode of the store's folder."""
        folder_mode, file_mode = self._modes()
        for folder, _, names in os.walk(self.root / prefix):
            _set_mode(folder, folder_mode)
            for name in names:
                _set_mode(os.path.join(folder, name), file_mode)  # noqa: PTH118  (many files, quickly)

    def check_commit(self, *, conditional: bool = True) -> None:
        """Find out whether files can be written; that only one writer is first holds on every file system."""
        del conditional
        name = f"partial/probe-{uuid.uuid4().hex}"
        self.put(name, b"")
        self.delete(name)

    def removal(self, path: str) -> str:
        """Return the command that removes an object."""
        return f"rm -r {shlex.quote(str(self.root / path))}"

    def _modes(self) -> tuple[int, int]:
        """Return the modes of the store's folders and files."""
        mode = stat.S_IMODE(self.root.stat().st_mode)
        return mode & ~stat.S_ISVTX, mode & 0o666

    def _make_folder(self, path: Path) -> None:
        try:
            path.mkdir()
        except FileExistsError:
            if not path.is_dir():
                raise
        except FileNotFoundError:
            self._make_folder(path.parent)
            self._make_folder(path)
        else:
            if self.root in path.parents:
                _set_mode(path, self._modes()[0])

    @contextmanager
    def _temporary(self, target: Path, content: bytes) -> Iterator[Path]:
        """Write a file, durably, beside the one that it is to become."""
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}")
        with guarded(target, "written"):
            self._make_folder(target.parent)
            try:
                with temporary.open("xb") as handle:
                    handle.write(content)
                    handle.flush()
                    _fsync(handle.fileno())
                _set_mode(temporary, self._modes()[1])
                yield temporary
            finally:
                with suppress(OSError):
                    temporary.unlink()

    def _create_without_links(self, temporary: Path, path: str, content: bytes) -> bool:
        """Claim a name with an empty file, and put the whole one in its place: nobody ever sees a part of it.

        The lock is that of :meth:`swap`, so that a claim is either made good or taken over, and not both.
        """
        target = self.root / path
        try:
            handle = target.open("xb")
        except FileExistsError:
            return self._take_over(path, content)
        with handle:
            _lock(handle.fileno())
            if not _is_at(handle.fileno(), target):
                return False
            temporary.replace(target)
            _sync(target.parent)
        return True

    def _take_over(self, path: str, content: bytes) -> bool:
        """Write a file in the place of an empty one; say whether there was such."""
        return bool(content) and self.size(path) == 0 and self.swap(path, b"", content)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copy(source, target)


def _set_mode(path: str | Path, mode: int) -> None:
    if stat.S_IMODE(os.stat(path).st_mode) != mode:  # noqa: PTH116  (many files, quickly)
        with suppress(PermissionError):  # another member's file, linked here: it has its mode already
            os.chmod(path, mode)  # noqa: PTH101


def _lock(descriptor: int) -> None:
    """Wait for the lock on a file; some network file systems have none: there the last one wins."""
    import fcntl

    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is (still) the one of that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _is_same(one: Path, other: Path) -> bool:
    """Whether two names are of one file."""
    try:
        return one.samefile(other)
    except FileNotFoundError:
        return False


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _fsync(descriptor)
    finally:
        os.close(descriptor)


def _fsync(descriptor: int) -> None:
    """Flush to the disk; some network file systems cannot be asked to."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise

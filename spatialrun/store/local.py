"""The local backend: a folder of a file system that has hard links (and copies where there are none)."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from spatialrun.errors import StoreError, Where

if TYPE_CHECKING:
    from zarr.abc.store import Store as ZarrStore

_NO_LINKS = {errno.EPERM, errno.EXDEV, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}


class LocalBackend:
    """Files under one folder; see :class:`spatialrun.store.backend.Backend`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def url(self) -> str:
        """The folder."""
        return str(self.root)

    def get(self, path: str) -> bytes | None:
        """Return a file's content, or ``None``."""
        try:
            return (self.root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def put(self, path: str, content: bytes) -> None:
        """Write a file whole or not at all."""
        target = self.root / path
        with self._temporary(target, content) as temporary:
            temporary.replace(target)

    def create(self, path: str, content: bytes) -> bool:
        """Write a file unless there is one: a hard link to its name is the one instant at which it appears."""
        target = self.root / path
        with self._temporary(target, content, durable=True) as temporary:
            try:
                os.link(temporary, target)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                return self._create_without_links(target, content)
            _sync_folder(target.parent)
        return True

    def swap(self, path: str, old: bytes, new: bytes) -> bool:
        """Replace a file whose content is ``old``."""
        if self.get(path) != old:
            return False
        self.put(path, new)
        return True

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder."""
        return (self.root / path).exists()

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the names in a folder, sorted."""
        with suppress(FileNotFoundError, NotADirectoryError):
            yield from sorted(os.listdir(self.root / prefix))  # noqa: PTH208  (10,000 names, quickly)

    def size(self, path: str) -> int | None:
        """Return a file's size in bytes, or ``None``."""
        try:
            return (self.root / path).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def delete(self, path: str) -> None:
        """Remove a file or folder, if it is there."""
        target = self.root / path
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target, ignore_errors=True)
        else:
            target.unlink(missing_ok=True)

    def zarr(self, prefix: str, *, read_only: bool = True) -> ZarrStore:
        """Return a zarr store over a folder."""
        from zarr.storage import LocalStore

        return LocalStore(self.root / prefix, read_only=read_only)

    def local(self, path: str) -> Path:
        """Return the real path."""
        return self.root / path

    def link(self, source: str, target: str) -> None:
        """Hard-link a file or every file of a folder; copy where the file system has no hard links."""
        start, end = self.root / source, self.root / target
        if not start.is_dir():
            end.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(start, end)
            return
        for folder, _, names in os.walk(start):
            goal = end / Path(folder).relative_to(start)
            goal.mkdir(parents=True, exist_ok=True)
            for name in names:
                _link_or_copy(Path(folder, name), goal / name)

    @contextmanager
    def _temporary(self, target: Path, content: bytes, *, durable: bool = False) -> Iterator[Path]:
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as handle:
                handle.write(content)
                if durable:
                    handle.flush()
                    os.fsync(handle.fileno())
            yield temporary
        except PermissionError as error:
            raise StoreError(
                "store.permission",
                f"the store cannot be written: {error.strerror}",
                where=Where(file=str(target)),
                hint="check the folder's owner and mode, or name another `store:` in the recipe",
            ) from error
        finally:
            with suppress(OSError):
                temporary.unlink()

    @staticmethod
    def _create_without_links(target: Path, content: bytes) -> bool:
        """Create exclusively on file systems without hard links; a torn file is caught when it is parsed."""
        try:
            with target.open("xb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
        except FileExistsError:
            return False
        return True


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(source, target)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError, AttributeError):  # not every platform lets a folder be opened
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

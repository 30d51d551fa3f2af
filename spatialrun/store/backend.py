"""Backends: the few operations that a store needs from a place that keeps files.

Paths are relative and use ``/``. A local folder and an object store differ only here; everything above is
written against :class:`Backend`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from spatialrun.errors import StoreError, Where

if TYPE_CHECKING:
    from zarr.abc.store import Store as ZarrStore


@dataclass(frozen=True)
class FileFacts:
    """What is known of a file without reading it.

    Attributes
    ----------
    path
        Where it is.
    size
        Bytes.
    modified
        When it was written, in seconds since the epoch.
    identity
        What it shares with every other name of the same file: hard links are one file.
    """

    path: str
    size: int
    modified: float
    identity: Hashable


class Backend(Protocol):
    """A place that keeps files under relative paths."""

    @property
    def url(self) -> str:
        """The place, as a person would write it."""

    @property
    def remote(self) -> bool:
        """Whether files are a network away: nothing is then copied that nobody has asked for."""

    @property
    def private(self) -> bool:
        """Whether only this process can see the place."""

    def get(self, path: str) -> bytes | None:
        """Return a file's content, or ``None`` where there is no such file."""

    def put(self, path: str, content: bytes) -> None:
        """Write a file whole or not at all, replacing what was there."""

    def create(self, path: str, content: bytes) -> bool:
        """Write a file, durably, unless there is one already that is not empty; say whether this call made it."""

    def swap(self, path: str, old: bytes, new: bytes) -> bool:
        """Replace a file whose content is ``old``; say whether it was."""

    def exists(self, path: str) -> bool:
        """Whether there is a file or folder at ``path``."""

    def presence(self) -> Callable[[str], bool]:
        """Return a test of whether objects exist, for many objects at one time."""

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the names of the entries of a folder, sorted; nothing where there is no such folder."""

    def size(self, path: str) -> int | None:
        """Return a file's size in bytes, or ``None`` where there is no such file."""

    def sizes(self, prefix: str) -> Mapping[str, int]:
        """Return the size in bytes of every file below a folder, by path."""

    def walk(self, prefix: str) -> Iterator[FileFacts]:
        """Yield what is known of every file below a folder."""

    def delete(self, path: str) -> None:
        """Remove a file or a whole folder, if it is there."""

    def zarr(self, prefix: str, *, read_only: bool = True) -> ZarrStore:
        """Return a zarr store over a folder."""

    def local(self, path: str) -> Path:
        """Return a real file-system path of a file or folder (an object store brings it here first)."""

    def folder(self, path: str) -> Path:
        """Make a folder, if it is not there, and return its real file-system path to write to."""

    def publish(self, path: str) -> None:
        """Make what was written to a :meth:`folder` part of the store."""

    def link(self, source: str, target: str) -> None:
        """Make a file or folder appear under a second path, without a second copy where that can be had."""

    def sync(self, paths: Iterable[str]) -> None:
        """Make files durable that were written by way of :meth:`zarr` or :meth:`folder`."""

    def share(self, prefix: str) -> None:
        """Open a folder, written by way of :meth:`zarr` or :meth:`folder`, to all who may use the store."""

    def check_commit(self, *, conditional: bool = True) -> None:
        """Find out, before anything is computed, whether results can be kept.

        Parameters
        ----------
        conditional
            Whether a place is refused where two writers at once could both believe that they were first.
        """

    def removal(self, path: str) -> str:
        """Return the command by which a person removes an object."""


@contextmanager
def guarded(place: str | Path, verb: Literal["read", "written"]) -> Iterator[None]:
    """Turn what the file system refuses into an error that says so."""
    try:
        yield
    except OSError as error:
        raise refusal(error, place, verb) from error


def refusal(error: OSError, place: str | Path, verb: Literal["read", "written"]) -> StoreError:
    """Return what to say of something that the file system refuses."""
    hint = "check the folder's owner and mode"
    if verb == "written":
        hint = f"{hint}, and the free space, or name another `store:` in the recipe"
    return StoreError(
        "store.permission",
        f"the store cannot be {verb}: {error.strerror or error}",
        where=Where(file=str(place)),
        hint=hint,
    )

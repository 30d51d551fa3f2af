"""Where an export goes: a file or a folder outside the store, which takes its name when it is whole."""

from __future__ import annotations

import errno
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from spatialrun.errors import TaskError
from spatialrun.execute.causes import FULL

MARK = ".spatialrun"
"""In every exported folder: what has it may be replaced by a newer export."""

_REFUSED = FULL | {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}


class Destination:
    """An export's place. Until it is whole it lies beside that, under a name of its own."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.temporary = target.with_name(f".{uuid.uuid4().hex[:8]}.{target.name}")

    def prepare(self) -> Path:
        """Return the path at which to write the file, or make the folder.

        Raises
        ------
        TaskError
            ``task.export`` where the folder that it goes to cannot be made.
        """
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._error(error) from error
        return self.temporary

    def publish(self) -> Path:
        """Give the export its name; an earlier export of that name is gone then.

        Raises
        ------
        TaskError
            ``task.export`` where that cannot be, or would replace a folder that no export has made.
        """
        try:
            if self.temporary.is_dir():
                self._publish_folder()
            else:
                self.temporary.replace(self.target)
        except OSError as error:
            raise self._error(error) from error
        return self.target

    def refused(self, problem: Exception) -> TaskError | None:
        """Return the error about an export that could not be written; ``None`` where it is not that."""
        if isinstance(problem, OSError) and problem.errno in _REFUSED:
            return self._error(problem)
        return None

    def clean(self) -> None:
        """Remove what a failed task left."""
        if self.temporary.is_dir():
            shutil.rmtree(self.temporary, ignore_errors=True)
        else:
            with suppress(OSError):
                self.temporary.unlink()

    def _publish_folder(self) -> None:
        (self.temporary / MARK).write_text("made by spatialrun; replaced when it is exported anew\n")
        if not self.target.exists():
            self.temporary.rename(self.target)
            return
        if not self.target.is_dir() or (any(self.target.iterdir()) and not (self.target / MARK).exists()):
            raise TaskError(
                "task.export",
                f"{self.target} is there, and no export has made it",
                hint="name another `path`, or remove it",
            )
        old = self.temporary.with_name(f"{self.temporary.name}.old")
        self.target.rename(old)
        self.temporary.rename(self.target)
        shutil.rmtree(old, ignore_errors=True)

    def _error(self, error: OSError) -> TaskError:
        return TaskError(
            "task.export",
            f"{self.target} cannot be written: {error.strerror or error}",
            hint="check the free space, and the folder's owner and mode, or name another `path`",
        )

"""What a running step is given: lazy inputs, and a context to talk to."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from spatialrun.errors import TaskError
from spatialrun.execute.destination import Destination
from spatialrun.execute.events import Event, Listener
from spatialrun.execute.spec import TaskSpec
from spatialrun.methods.checkpoint import UNSAVED, Checkpoint
from spatialrun.store.attempts import Attempt
from spatialrun.store.elements import StoredElement
from spatialrun.store.partial import Partial

_PROGRESS_EVERY = 0.1


class StoredInputs(Mapping[str, StoredElement]):
    """Lazy inputs by port: :class:`spatialrun.steps.contract.Inputs`."""

    def __init__(
        self,
        elements: Mapping[str, StoredElement],
        source: Path | None = None,
        externals: Mapping[str, Path] | None = None,
    ) -> None:
        self._elements = elements
        self.source = source
        self.externals: Mapping[str, Path] = externals or {}

    def __getitem__(self, port: str) -> StoredElement:
        return self._elements[port]

    def __iter__(self) -> Iterator[str]:
        return iter(self._elements)

    def __len__(self) -> int:
        return len(self._elements)


class TaskContext:
    """A step's line to the engine: :class:`spatialrun.steps.contract.Context`."""

    def __init__(self, spec: TaskSpec, listener: Listener) -> None:
        self.checkpoint: Checkpoint = UNSAVED
        self._spec = spec
        self._listener = listener
        self._last_progress = 0.0
        self.attempt: Attempt | None = None
        self.lines: list[str] = []
        self.measured: dict[str, float | None] = {}
        self.folders: list[str] = []
        self.destination: Destination | None = None
        self.unfinished: Partial | None = None
        self._scratch: Path | None = None

    @property
    def threads(self) -> int:
        """How many threads the task may use."""
        return self._spec.threads

    @property
    def device(self) -> str:
        """The device that it computes on, as torch names it."""
        return self._spec.device

    def log(self, message: str) -> None:
        """Add a line to the task's log."""
        self.lines.append(message)
        self._tell("task-log", line=message)

    def warn(self, message: str) -> None:
        """Add a warning."""
        self.lines.append(f"warning: {message}")
        self._tell("task-warning", line=message)

    def progress(self, done: int, total: int, unit: str = "") -> None:
        """Report progress, ten times a second at most."""
        now = time.monotonic()
        if done >= total or now - self._last_progress > _PROGRESS_EVERY:
            self._last_progress = now
            self._tell("task-progress", done=int(done), total=int(total), unit=unit)

    def measure(self, **values: float) -> None:
        """Keep numbers that say what was found; what is no number is none."""
        numbers = {name: float(value) for name, value in values.items()}
        self.measured |= {name: value if math.isfinite(value) else None for name, value in numbers.items()}

    def folder(self, port: str) -> Path:
        """Make the folder of a ``files`` output."""
        if self.attempt is None:
            raise TaskError("task.outputs", f"{self._spec.uses} may make folders in its last stage only")
        self.folders.append(port)
        return self.attempt.folder(port)

    def scratch(self) -> Path:
        """Return the folder for large files of the stage that is running."""
        assert self.unfinished is not None
        self._scratch = self.unfinished.folder()
        return self._scratch

    def empty_scratch(self) -> None:
        """Remove the large files: the stage is done."""
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def file(self, port: str) -> Path:
        """Return a path beside an export's destination; it takes the destination's name when it is whole."""
        del port
        if self._spec.destination is None:
            raise TaskError("task.outputs", f"{self._spec.uses} exports nothing")
        self.destination = Destination(Path(self._spec.destination))
        return self.destination.prepare()

    def publish(self) -> Path:
        """Give the exported file or folder its name."""
        if self.destination is None:
            raise TaskError("task.outputs", f"{self._spec.uses} returned a file that it had not asked for")
        return self.destination.publish()

    def refused(self, problem: Exception) -> TaskError | None:
        """Return the error about an export that could not be written; ``None`` where it is not that."""
        return self.destination.refused(problem) if self.destination is not None else None

    def clean(self) -> None:
        """Remove what a failed task left outside the store."""
        if self.destination is not None:
            self.destination.clean()

    def _tell(self, kind: str, **data: object) -> None:
        self._listener(Event(kind, self._spec.step, self._spec.sample, data))  # type: ignore[arg-type]

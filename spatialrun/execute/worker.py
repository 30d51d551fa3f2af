"""Workers: processes that run one task after another.

A worker reads task specs from its standard input and answers on its standard output, one JSON object per
line: ``{"begun": true}`` when the task's own code begins, ``{"event": ...}`` as often as it likes, then
``{"result": ...}``. It shares nothing else with the run, so
its death costs its task and nothing more; and it ends when its input does, so it never outlives the run.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from io import TextIOWrapper
from queue import SimpleQueue
from typing import Any

from spatialrun.execute.events import Event, Listener
from spatialrun.execute.spec import TaskResult, TaskSpec
from spatialrun.interpreters import environment
from spatialrun.store.scratch import HANDED, give_back, scratch_folder
from spatialrun.store.store import Store

LONGEST_LINE = 1000
"""Characters of a line that is printed; the rest is dropped."""
START = "from spatialrun.execute.worker import serve; serve()"


Perform = Callable[[TaskSpec, Listener, Callable[[], bool], Callable[[], None]], TaskResult]
"""What runs a task: given the spec, who is told of it, whether to stop, and what to call when its code begins."""


def _unheard() -> None:
    """Nobody asks when a task's code begins."""


class WorkerDied(Exception):  # noqa: N818  (an event, not a fault of the caller)
    """A worker ended without an answer; the text says how."""


class Worker:
    """The run's end of a worker.

    Parameters
    ----------
    threads
        The most that any of its tasks may use.
    python
        Its interpreter; ``None`` for that of the run.
    start
        What it does first and last: :data:`START` by default.
    variables
        More of its environment.
    printed
        Told, line by line, what it prints; by default that goes where the run's own errors go.
    """

    def __init__(
        self,
        threads: int,
        *,
        python: str | None = None,
        start: str | None = None,
        variables: Mapping[str, str] | None = None,
        printed: Callable[[str], None] | None = None,
    ) -> None:
        self._scratch = scratch_folder()
        self._process = subprocess.Popen(
            [python or sys.executable, "-c", start or START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if printed else None,
            env=environment(python) | _limits(threads) | {HANDED: str(self._scratch)} | dict(variables or {}),
        )
        self._turn = threading.Lock()
        self._reader: threading.Thread | None = None
        if printed is not None:
            self._reader = threading.Thread(target=self._read, args=(printed,), daemon=True)
            self._reader.start()

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def run(self, spec: TaskSpec, listener: Listener, begun: Callable[[], None] = _unheard) -> TaskResult:
        """Run a task and pass on its events, and that its own code has begun.

        Raises
        ------
        WorkerDied
            The process ended before the task did.
        """
        stdout = self._process.stdout
        assert stdout is not None
        try:
            self._send({"task": spec.to_json()})
        except OSError:
            raise WorkerDied(self._end()) from None
        for line in stdout:
            if not line.endswith(b"\n"):
                break  # it died in the middle of a word
            message = json.loads(line)
            if "result" in message:
                return TaskResult(**message["result"])
            if "begun" in message:
                begun()
            else:
                listener(Event(**message["event"]))
        raise WorkerDied(self._end())

    def stop(self) -> None:
        """Ask it to begin no more blocks of its task."""
        with suppress(OSError):  # it has just died, which is found out where its answer is waited for
            self._send({"stop": True})

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def close(self) -> None:
        """Let it go: it ends by itself when nobody can ask it for more; remove what it has left on the disk."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):  # what it died before reading is still in the buffer
                    stream.close()
        self._process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._hear_out()

    def _send(self, message: Mapping[str, Any]) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with self._turn:
            stdin.write(_line(message))
            stdin.flush()

    def _end(self) -> str:
        code = self._process.wait()
        self._hear_out()
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def _read(self, printed: Callable[[str], None]) -> None:
        assert self._process.stderr is not None
        for line in TextIOWrapper(
            self._process.stderr, errors="replace"
        ):  # \r of progress bars ends a line, too
            if text := line.strip()[:LONGEST_LINE]:
                printed(text)

    def _hear_out(self) -> None:
        """Wait for the last that it printed; not for long, as processes of its own may hold the line open."""
        if self._reader is not None:
            self._reader.join(timeout=2)


def serve(perform: Perform | None = None) -> None:
    """Run tasks until the input ends, by :func:`run` where not told otherwise."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the run, which ends its workers itself
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    turn = threading.Lock()

    def answer(message: Mapping[str, Any]) -> None:
        with turn:
            answers.write(_line(message))
            answers.flush()

    specs: SimpleQueue[dict[str, Any]] = SimpleQueue()
    stopping = threading.Event()
    atexit.register(give_back)
    threading.Thread(target=_receive, args=(specs.put, stopping), daemon=True).start()
    while True:
        spec = TaskSpec.from_json(specs.get())
        result = (perform or run)(
            spec,
            lambda event: answer({"event": asdict(event)}),
            stopping.is_set,
            lambda: answer({"begun": True}),
        )
        answer({"result": asdict(result)})


def run(
    spec: TaskSpec,
    listener: Listener,
    stopping: Callable[[], bool] = lambda: False,
    begun: Callable[[], None] = _unheard,
    into: Store | None = None,
) -> TaskResult:
    """Run a task with one BLAS thread: sums are then made in one order, whatever the number of cores."""
    # What results are written with is no task's own, and takes seconds to import: none of a task's time.
    import xarray  # noqa: F401
    import zarr  # noqa: F401
    from threadpoolctl import threadpool_limits

    from spatialrun.execute.task import Runner, perform

    def work(runner: Runner) -> Mapping[str, Mapping[str, Any]]:
        begun()
        return runner.run()

    with threadpool_limits(1, user_api="blas"):
        return perform(spec, listener, work, into, stopping)


def _receive(take: Callable[[dict[str, Any]], None], stopping: threading.Event) -> None:
    """Take specs as they come; when no more can come, nobody reads answers either: end, even within a task."""
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "stop" in message:
            stopping.set()
        else:
            take(message["task"])
    give_back()
    os._exit(0)


def _limits(threads: int) -> dict[str, str]:
    """Return what keeps libraries from taking every core: they read it when they are imported."""
    blas = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return blas | {"NUMBA_NUM_THREADS": str(threads)}


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"

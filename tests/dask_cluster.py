"""A dask cluster on this machine: a scheduler and workers, each a process of its own."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lab import TESTS

START = """\
import sys, steps_of_tests
{prelude}
steps_of_tests.register()
from distributed.cli.dask_worker import main
main(sys.argv[1:])
"""
PATIENCE = 60


class Cluster:
    """A scheduler, and workers of one thread that know the step types of the tests; ends with its context."""

    def __init__(self, root: Path, workers: int = 2, prelude: str = "") -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.file = root / "scheduler.json"
        self._processes: list[subprocess.Popen[bytes]] = []
        atexit.register(self.__exit__)  # whatever becomes of the test, nothing of it goes on
        self._processes.append(
            self._start(
                "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"
            )
        )
        _wait(self._has_address)
        self.workers = [self.add_worker(prelude) for _ in range(workers)]

    @property
    def address(self) -> str:
        return json.loads(self.file.read_text())["address"]

    def add_worker(self, prelude: str = "", *more: str) -> subprocess.Popen[bytes]:
        program = START.format(prelude=prelude)
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(self.root))
        self._processes.append(self._start("-c", program, *options, *more))
        return self._processes[-1]

    def _has_address(self) -> bool:
        """Whether the scheduler's file is there, and written to its end."""
        try:
            return bool(self.address)
        except (FileNotFoundError, ValueError):
            return False

    def wait_for(self, workers: int) -> None:
        """Wait until so many workers are there."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=PATIENCE)

    def stop_scheduler(self) -> None:
        self._processes[0].kill()

    def __enter__(self) -> Cluster:
        if self.workers:
            self.wait_for(len(self.workers))
        return self

    def __exit__(self, *problem: object) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        with (self.root / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *words, "--scheduler-file", str(self.file)],
                env=os.environ | {"PYTHONPATH": path},
                stdout=log,
                stderr=log,
            )


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)

"""A warm process that forks another for every job, so that one can be killed without paying for its start.

Jobs are functions of a module of the tests with plain data for arguments and answers. The warm process imports
everything, and applies a recipe once; its children find all that in memory. They run one after another or at the
same time, and what is left of those that are killed is in their stores alone.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Answer:
    """How a job ended.

    Attributes
    ----------
    code
        The exit code; minus the signal's number for one that was killed.
    value
        What the function returned; ``None`` for one that was killed.
    said
        The traceback of one that failed.
    """

    code: int
    value: Any
    said: str

    def kept(self) -> Any:
        """Return what the function returned; fail where it did not."""
        assert self.code == 0, self.said
        return self.value


class Forks:
    """The test's end of a warm process.

    Parameters
    ----------
    module
        Where the functions are; its ``warm()`` is called once.
    folder
        Something to work in, for ``warm``.
    environment
        Further variables.
    """

    def __init__(self, module: str, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        path = os.pathsep.join([str(TESTS), str(TESTS / "store"), str(TESTS.parent), *sys.path])
        self._process = subprocess.Popen(
            [sys.executable, __file__, module, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": path, "PYTHONWARNINGS": "ignore"} | dict(environment or {}),
        )
        self._turn = threading.Lock()
        self.together([])  # it is warm

    def run(self, name: str, /, kill_after: float | None = None, **arguments: Any) -> Answer:
        """Run one job; end it after some seconds, if told to."""
        (answer,) = self.together([(name, arguments)], kill_after=kill_after)
        return answer

    def together(
        self, jobs: Sequence[tuple[str, Mapping[str, Any]]], kill_after: float | None = None
    ) -> list[Answer]:
        """Run several jobs, each in a process of its own, at the same time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._turn:
            self._process.stdin.write(json.dumps({"jobs": jobs, "kill_after": kill_after}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        assert line, f"the warm process ended with exit code {self._process.wait()}"
        return [Answer(**answer) for answer in json.loads(line)]

    def close(self) -> None:
        """Let it go."""
        self._process.communicate()


class _Child:
    """The warm process's end of a job."""

    def __init__(self, module: Any, name: str, arguments: Mapping[str, Any]) -> None:
        answers, answer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(answers)
            code = 0
            try:
                found = json.dumps(getattr(module, name)(**arguments))
            except BaseException:
                code, found = 1, traceback.format_exc()
            with os.fdopen(answer, "w") as stream:
                stream.write(found)
            os._exit(code)
        os.close(answer)
        self._answers = answers

    def end(self) -> dict[str, Any]:
        """Wait for it; return the answer."""
        with os.fdopen(self._answers) as stream:
            said = stream.read()
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return {"code": code, "value": json.loads(said) if code == 0 else None, "said": said}


def serve(name: str, folder: str) -> None:
    """Do jobs until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module = importlib.import_module(name)
    module.warm(Path(folder))
    for line in sys.stdin:
        order = json.loads(line)
        children = [_Child(module, *job) for job in order["jobs"]]
        if order["kill_after"] is not None:
            time.sleep(order["kill_after"])
            for child in children:
                os.kill(child.pid, signal.SIGKILL)
        answers.write(json.dumps([child.end() for child in children]) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve(*sys.argv[1:])

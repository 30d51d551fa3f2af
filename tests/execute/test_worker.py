"""Workers: what they have left on the disk goes with them, however they end."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from queue import Queue

import pytest

from spatialrun.execute.worker import START, Worker

FILL = """\
import sys
from spatialrun.store.scratch import scratch_folder
folder = scratch_folder()
(folder / "large").write_bytes(b"large")
print(folder, file=sys.stderr, flush=True)
"""
RUN = f"""\
import time
from spatialrun.execute.worker import Worker
worker = Worker(1, start={FILL + START!r}, printed=lambda line: print(line, flush=True))
time.sleep(600)
"""


@pytest.fixture
def worker():
    """A worker that has filled a scratch folder, and the folder."""
    said: Queue[str] = Queue()
    worker = Worker(1, start=FILL + START, printed=said.put)
    return worker, Path(said.get(timeout=60))


@pytest.mark.parametrize("killed", [False, True])
def test_the_scratch_folder_of_a_worker_goes_with_it(worker, killed):
    process, folder = worker
    assert (folder / "large").exists()
    if killed:
        process.kill()
    process.close()
    assert not folder.parent.exists()


def test_the_scratch_folder_of_a_worker_goes_though_its_run_was_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        folder = Path(run.stdout.readline().strip())
        assert (folder / "large").exists()
        run.kill()
    until = time.monotonic() + 60
    while folder.parent.exists():
        assert time.monotonic() < until
        time.sleep(0.05)

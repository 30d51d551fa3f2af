"""A recipe of very many samples, and a store in which all of it is done."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

from lab import Lab

from spatialrun.methods.simulate import simulate_visium
from spatialrun.plan.identity import action_key, identity
from spatialrun.plan.task import Task
from spatialrun.readers import simulated
from spatialrun.readers.spaceranger import SCALEFACTORS
from spatialrun.store.actions import ActionRecord, record_path
from spatialrun.store.digests import key_digest
from spatialrun.store.elements import ObjectRef
from spatialrun.store.entries import TaskEntry
from spatialrun.store.runs import Run
from spatialrun.store.store import Store

STEPS = """\
  - {id: read, uses: read.visium, with: {min_spots: 1}}
  - {id: qc, uses: qc.metrics}
  - {id: log, uses: normalize.log}
  - {id: variable, uses: genes.variable, with: {n_top_genes: 10}}
  - {id: svg, uses: svg.spatialde, with: {n_svg: 10, kernel_space: {SE: [300, 600]}}}
  - {id: chosen, uses: genes.select, with: {any_of: [spatialde.svg, vst.hvg], key_added: chosen}}
  - {id: depth, uses: plot.spatial, with: {color: total_counts}}
  - {id: top, uses: plot.spatial, with: {color: {top: 6, by: spatialde.rank}}}
  - {id: table, uses: export.table, with: {path: "tables/{sample}.csv", what: var, columns: [spatialde.rank]}}
  - {id: both, uses: genes.select, with: {all_of: [spatialde.svg, vst.hvg], key_added: both}}
"""


def sections(root: Path, number: int) -> dict[str, Path]:
    """Make Space Ranger folders that differ in a scale factor only, and share the files that do not."""
    size = {"n_spots": 40, "n_genes": 60, "n_domains": 2, "n_svg": 6, "mean_counts": 500, "image_size": 20}
    first = simulated.write(simulate_visium(**size, seed=0), root / "s0000")
    folders = {"s0000": first}
    for index in range(1, number):
        outs = root / f"s{index:04d}" / "outs"
        for file in (path for path in first.rglob("*") if path.is_file()):
            target = outs / file.relative_to(first)
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.name == SCALEFACTORS:
                factors = json.loads(file.read_text())
                target.write_text(json.dumps(factors | {"spot_diameter_fullres": 100.0 + index}))
            else:
                target.hardlink_to(file)
        folders[outs.parent.name] = outs
    return folders


class _Pretended:
    """The entries of tasks that were never run, modelled on those of the first sample."""

    def __init__(self, store: Store, done: Run) -> None:
        self._store = store
        self._done = done
        self._first = next(iter(done.samples))
        self.entries: dict[tuple[str, str], TaskEntry] = {}

    def add(self, task: Task) -> None:
        """Take in a task, those that it needs having been taken in before; write its record and its objects."""
        model, store = self._done.tasks[task.id.step, self._first], self._store
        inputs = {i.port: self.entries[i.producer].outputs[i.output].digest for i in task.inputs}
        source = store.sources.digest(task.externals) if task.externals else None
        now = identity(task, inputs, source)
        key = action_key(now)
        if task.id.sample == self._first:
            assert key == model.key
            self.entries[task.id] = model
            return
        attempt = store.attempt().id
        outputs = {
            slot: self._output(task, ref, f"data/{attempt}/{slot}") for slot, ref in model.outputs.items()
        }
        ports = {write.port: outputs[write.slot] for write in task.writes}
        store.backend.put(record_path(key), ActionRecord(key, attempt, ports, now, model.facts).to_bytes())
        self.entries[task.id] = replace(model, sample=task.id.sample, key=key, identity=now, outputs=outputs)

    def _output(self, task: Task, model: ObjectRef, path: str) -> ObjectRef:
        if model.kind == "export":
            assert task.destination is not None
            task.destination.write_text(task.id.sample)
            return replace(model, digest=self._store.sources.digest({"file": task.destination}))
        self._store.backend.folder(path)
        return replace(model, digest=key_digest("pretended", [model.digest, task.id.sample]), path=path)


def finish(lab: Lab) -> Run:
    """Run the first sample, and write for all others what their runs would have left."""
    (lab.root / "tables").mkdir(parents=True, exist_ok=True)
    first = next(iter(lab.samples))
    done = Lab(lab.root, {first: lab.samples[first]}, lab.steps).apply().run
    loaded = lab.load()
    store = loaded.store()
    assert store is not None
    pretended = _Pretended(store, done)
    with patch("spatialrun.store.local._fsync"):  # there are thousands of files, and nothing to lose
        for task in loaded.graph.tasks.values():
            pretended.add(task)
        samples = {name: dict(entry.metadata) for name, entry in loaded.recipe.samples.items()}
        run = replace(done, samples=samples, tasks=pretended.entries, sources=store.sources.used)
        store.runs.save(run, loaded.recipe.text)
    return run


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds on the clock and of the processor, and its peak memory in bytes."""

    wall_s: float
    cpu_s: float
    memory: int


LAUNCH = """\
import json, os, subprocess, sys, time
start = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
answer = child.stdout.read().decode()
_, status, usage = os.wait4(child.pid, 0)
seconds = time.perf_counter() - start
print(json.dumps([status, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, answer]))
"""
"""Starts a process and measures it; is small itself, because its own memory counts as its child's at first."""


def measure(*words: str) -> tuple[Cost, str]:
    """Run spatialrun in a process of its own; return what it took, and its last line."""
    command = [sys.executable, "-c", LAUNCH, sys.executable, "-m", "spatialrun", *words]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    status, wall, cpu, memory, text = json.loads(answer)
    assert status == 0, text
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(wall, cpu, memory * unit), text.strip().rpartition("\n")[2]

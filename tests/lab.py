"""A bench for whole recipes: a folder with a recipe and its store, and what the tests ask of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spatialrun.api import LoadedRecipe, load
from spatialrun.execute.apply import Options, Outcome
from spatialrun.execute.events import Listener, ignore
from spatialrun.plan.plan import Plan
from spatialrun.plan.resolver import Decision
from spatialrun.plan.task import TaskId
from spatialrun.store.entries import TaskEntry
from spatialrun.store.runs import Run

TESTS = Path(__file__).parent
MEMORY = 2 * 10**9

STEPS = """\
  - {id: read, uses: read.visium, with: {min_spots: 3}}
  - {id: log, uses: normalize.log}
  - {id: svg, uses: svg.spatialde, with: {n_svg: 10, kernel_space: {SE: [300, 600]}}}
  - {id: chosen, uses: genes.select, with: {all_of: [spatialde.svg], key_added: chosen}}
"""


@dataclass
class Lab:
    """A recipe in a folder of its own; ``samples`` are names and the folders that they are read from."""

    root: Path
    samples: dict[str, Path | None] = field(default_factory=dict)
    steps: str = STEPS

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def recipe(self) -> Path:
        return self.root / "recipe.yaml"

    @property
    def text(self) -> str:
        samples = "".join(f"  {name}: {{path: {path or 'null'}}}\n" for name, path in self.samples.items())
        return f"spatialrun: 1\nstore: store\nsamples:\n{samples}steps:\n{self.steps}"

    def edit(self, old: str, new: str) -> None:
        """Replace a part of the steps."""
        assert old in self.steps, old
        self.steps = self.steps.replace(old, new)

    def load(self, *overrides: str) -> LoadedRecipe:
        self.root.mkdir(exist_ok=True)
        self.recipe.write_text(self.text)
        return load(self.recipe, overrides)

    def plan(self, *overrides: str) -> Plan:
        return self.load(*overrides).plan()

    def decide(self, step: str, *overrides: str, sample: str = "a") -> Decision:
        """What the plan says of one task."""
        return self.plan(*overrides).tasks[TaskId(step, sample)].decision

    def apply(
        self, *overrides: str, jobs: int = 1, memory: int = MEMORY, listener: Listener = ignore
    ) -> Outcome:
        return self.load(*overrides).apply(Options(jobs=jobs, memory=memory), listener)

    def listing(self) -> dict[str, int]:
        """Every file below the folder, with the time of its last change; less where runs say that they go on."""
        return {
            str(path.relative_to(self.root)): path.stat().st_mtime_ns
            for path in self.root.rglob("*")
            if path != self.recipe and path != self.store / "intents"
        }

    def copy(self, root: Path) -> Lab:
        shutil.copytree(self.root, root)
        return Lab(root, dict(self.samples), self.steps)

    def python(self, code: str, *overrides: str, **popen: Any) -> subprocess.Popen[str]:
        """Start a process that runs ``code`` with the loaded ``recipe``, its ``Options`` and the test steps."""
        self.load(*overrides)
        head = (
            "import os, signal, sys, spatialrun, steps_of_tests\n"
            "from spatialrun.execute.apply import Options\n"
            "steps_of_tests.register()\n"
            f"recipe = spatialrun.load({str(self.recipe)!r}, {list(overrides)!r})\n"
        )
        path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        return subprocess.Popen(
            [sys.executable, "-c", head + code],
            env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **popen,
        )


def digests(run: Run) -> dict[tuple[str, str], str]:
    """Sample and slot to digest: what a run made, wherever it lies."""
    return {(sample, slot): ref.digest for task in run.tasks.values() for sample, slot, ref in task.places()}


def statuses(run: Run, sample: str = "a") -> dict[str, str]:
    """Step to status."""
    return {step: task.status for (step, name), task in run.tasks.items() if name == sample}


def entry(run: Run, step: str, sample: str = "a") -> TaskEntry:
    return run.tasks[step, sample]


def codes(errors: Sequence[Any]) -> list[str]:
    return [error.code for error in errors]


def done(statuses: Mapping[str, str]) -> list[str]:
    return [step for step, status in statuses.items() if status == "done"]

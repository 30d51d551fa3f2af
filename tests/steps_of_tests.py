# ruff: noqa: RUF012  (class variables are the contract's)
"""Step types that misbehave on demand: they look at flag files, which no key knows of."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spatialrun.slots import COHORT
from spatialrun.steps import catalogue
from spatialrun.steps.contract import (
    Block,
    CohortStep,
    FileBytes,
    Parameters,
    Site,
    Step,
    StreamingStep,
    Write,
    parameter,
)

GENES_PER_BLOCK = 20


class FlagParams(Parameters):
    flag: str = parameter(..., "File whose presence means trouble.")
    value: int = parameter(1, "Anything.")
    key_added: str = parameter("noted", "Column of obs.", output_name=True)


class OfTests(Step):
    Params = FlagParams
    READS = {"counts": "layers/counts"}
    WRITES = {"column": "obs/{key_added}"}

    def column(self, inputs: Any) -> np.ndarray:
        return np.zeros(inputs["counts"].meta["shape"][0])


class Failing(OfTests):
    """Raise a ValueError while the flag is there."""

    name = "test.failing"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        context.log("about to look at the flag")
        if Path(params.flag).exists():
            raise ValueError("the flag is up")
        return {"column": self.column(inputs) + params.value}


class Constant(OfTests):
    """Make the same column whatever the value is."""

    name = "test.constant"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        return {"column": self.column(inputs)}


class Restless(OfTests):
    """Make another column every time, when as many have begun as the value says."""

    name = "test.restless"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        note(params.flag, "begun")
        while len(notes(params.flag)) < params.value:
            time.sleep(0.01)
        return {"column": self.column(inputs) + np.random.default_rng().random()}


class Follower(OfTests):
    """Read a column."""

    name = "test.follower"
    READS = {"counts": "layers/counts", "column": "obs/noted"}

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        return {"column": inputs["column"].read() + 1}


class Silent(OfTests):
    """Return nothing of what it declares."""

    name = "test.silent"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        return {}


class Talkative(OfTests):
    """Return more than it declares."""

    name = "test.talkative"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        return {"column": self.column(inputs), "more": self.column(inputs)}


class Interrupted(OfTests):
    """Be stopped at once by Ctrl-C, which comes twice, while the flag is there."""

    name = "test.interrupted"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        if Path(params.flag).exists():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            signal.pause()
        return {"column": self.column(inputs)}


class Finishing(OfTests):
    """Hear of Ctrl-C, which comes once while the flag is there, and come to its end."""

    name = "test.finishing"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        if Path(params.flag).exists():
            os.kill(os.getpid(), signal.SIGINT)
        return {"column": self.column(inputs)}


class Flaky(OfTests):
    """Note each try beside the flag, and fail as often as the value says."""

    name = "test.flaky"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        note(params.flag, "try")
        context.log(f"this is try {len(notes(params.flag))}")
        if len(notes(params.flag)) <= params.value:
            raise ValueError("not yet")
        return {"column": self.column(inputs)}


class Drifting(OfTests):
    """Note each computation beside the flag, and come to another result with each while the flag is there."""

    name = "test.drifting"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        note(params.flag, "computed")
        times = len(notes(params.flag)) if Path(params.flag).exists() else 0
        return {"column": self.column(inputs) + times}


class Measuring(OfTests):
    """Measure the mean of a column, times the value; nothing where the value is 0."""

    name = "test.measuring"

    class Params(FlagParams):
        source: str = parameter(..., "Column of obs.")
        key_added: str = parameter("measured", "Column of obs.", output_name=True)

    READS = {"counts": "layers/counts", "source": "obs/{source}"}

    def run(self, inputs: Any, params: Any, context: Any) -> dict[str, Any]:
        mean = inputs["source"].read().mean()
        context.measure(mean=mean * params.value if params.value else float("nan"), value=params.value)
        return {"column": self.column(inputs)}


class Endless(OfTests):
    """Never come to an end while the flag is there."""

    name = "test.endless"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        note(params.flag, "begun")
        context.log("here we go")
        while Path(params.flag).exists():
            time.sleep(0.05)
        return {"column": self.column(inputs)}


class Greedy(OfTests):
    """Hold as many megabytes as its value says."""

    name = "test.greedy"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        held = np.ones(params.value * 125_000)
        return {"column": self.column(inputs) + held[-1]}


class HalfExport(Step):
    """Write a file, and fail in the middle while the flag is there."""

    name = "test.half_export"

    class Params(FlagParams):
        path: str = parameter(..., "Where to write.")

    READS = {"counts": "layers/counts"}

    def destination(self, params: Any) -> str:
        return str(params.path)

    def writes(self, params: Any, site: Site) -> list[Write]:
        return [Write("file", f"exports/{site.step}")]

    def run(self, inputs: Any, params: Any, context: Any) -> dict[str, Any]:
        path = context.file("file")
        path.write_text("first half\n")
        if Path(params.flag).exists():
            raise ValueError("the flag is up")
        path.write_text(f"whole, value {params.value}\n")
        return {"file": path}


class Blocks(StreamingStep):
    """Sum genes block by block, noting each in a side file; killed at the fourth while the flag is there."""

    name = "test.blocks"

    class Params(Parameters):
        flag: str = parameter(..., "File whose presence kills the process; blocks are noted beside it.")
        factor: int = parameter(1, "Multiplies the sums.", late=True)
        key_added: str = parameter("sums", "Column of var.", output_name=True)

    READS = {"counts": "layers/counts"}
    WRITES = {"sums": "var/{key_added}"}

    def setup(self, inputs: Any, params: Any, context: Any) -> dict[str, Any]:
        note(params.flag, "setup")
        return {"one": np.ones(1)}

    def blocks(self, setup: Any, inputs: Any, params: Any) -> list[Block]:
        n_genes = inputs["counts"].meta["shape"][1]
        return [Block(i, min(i + GENES_PER_BLOCK, n_genes)) for i in range(0, n_genes, GENES_PER_BLOCK)]

    def load(self, setup: Any, params: Any) -> Any:
        return setup["one"].read()

    def block(self, shared: Any, inputs: Any, params: Any, block: Block) -> dict[str, np.ndarray]:
        self.strike(params, block)
        note(params.flag, block.start)
        counts = inputs["counts"].columns(block.start, block.stop)
        return {"sums": np.asarray(counts.sum(axis=0)).ravel() * shared[0]}

    def strike(self, params: Any, block: Block) -> None:
        """Do what happens to the process before a block; steps below have each their own way."""
        if Path(params.flag).exists() and len(notes(params.flag)) == len(["setup"]) + 3:
            os.kill(os.getpid(), signal.SIGKILL)

    def combine(self, setup: Any, inputs: Any, params: Any, context: Any) -> dict[str, Any]:
        note(params.flag, "combine")
        return {"sums": setup["blocks/sums"].read() * params.factor}


class Mortal(Blocks):
    """The same blocks; the flag kills but one process, that of the fourth block."""

    name = "test.mortal"

    def strike(self, params: Any, block: Block) -> None:
        if block.start == 3 * GENES_PER_BLOCK and Path(params.flag).exists():
            Path(params.flag).unlink()
            os.kill(os.getpid(), signal.SIGKILL)


class Halting(Blocks):
    """The same blocks; Ctrl-C comes to the run within the fourth while the flag is there."""

    name = "test.halting"

    def strike(self, params: Any, block: Block) -> None:
        if len(notes(params.flag)) == len(["setup"]) + 3 and Path(params.flag).exists():
            run = int(Path(params.flag).read_text())
            Path(params.flag).unlink()
            time.sleep(0.2)  # until the run does nothing but wait: only then it hears the signal at once
            os.kill(run, signal.SIGINT)
            time.sleep(1)  # until the run has said it to its worker


class Slow(Blocks):
    """The same blocks, each of which takes four seconds while the flag is there."""

    name = "test.slow"

    def block(self, shared: Any, inputs: Any, params: Any, block: Block) -> dict[str, np.ndarray]:
        note(params.flag, block.start)
        if Path(params.flag).exists():
            time.sleep(4)
        counts = inputs["counts"].columns(block.start, block.stop)
        return {"sums": np.asarray(counts.sum(axis=0)).ravel() * shared[0]}


class Joining(CohortStep):
    """Number all spots of the cohort through, in the order of its members; list them in a table and a figure."""

    name = "test.joining"
    Params = FlagParams
    READS = {"counts": "layers/counts"}
    WRITES = {"column": "obs/{key_added}"}
    COHORT_READS = {"before": "uns/before?"}
    COHORT_WRITES = {"members": "uns/{key_added}", "figure": "figures/{key_added}"}

    def run_cohort(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        note(params.flag, " ".join(inputs))
        outputs, first = {}, 0
        for sample, mine in inputs.items():
            if sample != COHORT:
                n_spots = mine["counts"].meta["shape"][0]
                outputs[sample] = {"column": np.arange(first, first + n_spots) * params.value}
                first += n_spots
        table = pd.DataFrame(
            {"spots": [len(mine["column"]) for mine in outputs.values()]}, index=list(outputs)
        )
        outputs[COHORT] = {"members": table, "figure": FileBytes(" ".join(outputs).encode(), ".svg")}
        return outputs


class OnDevice(OfTests):
    """Log the device, the interpreter and what of CUDA is to be seen."""

    name = "test.on_device"
    resource = "gpu"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        context.log(f"device {context.device}, CUDA {os.environ.get('CUDA_VISIBLE_DEVICES')}")
        context.log(f"process {os.getpid()} of {sys.executable}")
        context.log(f"child of {os.getppid()}")
        return {"column": self.column(inputs) + params.value}


class TorchOnDevice(OnDevice):
    """The same, with torch."""

    name = "test.torch_on_device"
    distributions = ("torch",)


class Turns(OfTests):
    """Note when it has its device and when no more, and print, log and tell of its progress meanwhile."""

    name = "test.turns"
    resource = "gpu"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        where = f"{context.device} {os.environ.get('CUDA_VISIBLE_DEVICES')!r}"
        note(params.flag, f"in {where}")
        print("printed")
        context.log("logged")
        context.progress(2, 2, "turns")
        time.sleep(0.3)
        note(params.flag, f"out {where}")
        return {"column": self.column(inputs)}


class Segfault(OfTests):
    """Read from address 0 while the flag is there."""

    name = "test.segfault"
    resource = "gpu"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        context.log("about to crash")
        if Path(params.flag).exists():
            ctypes.string_at(0)
        return {"column": self.column(inputs)}


class Eating(OfTests):
    """Eat as many megabytes as its value says, twenty at a time."""

    name = "test.eating"
    resource = "gpu"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        eaten: list[np.ndarray] = []
        while 20 * len(eaten) < params.value:
            eaten.append(np.ones(2_500_000))
            context.log(f"{20 * len(eaten)} MB eaten")
            time.sleep(0.01)
        return {"column": self.column(inputs)}


class Hanging(OfTests):
    """Never come to an end while the flag is there, in a process that is noted."""

    name = "test.hanging"
    resource = "gpu"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        note(params.flag, os.getpid())
        while Path(params.flag).exists():
            time.sleep(0.05)
        return {"column": self.column(inputs)}


class OutOfMemoryError(RuntimeError):
    """What torch raises is called so, too."""


class DeviceMemory(OfTests):
    """Raise what torch does where a device has no memory left."""

    name = "test.device_memory"
    resource = "gpu"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ...")


class DeviceLost(OfTests):
    """Raise what torch does where a device fails."""

    name = "test.device_lost"
    resource = "gpu"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        raise RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might be ...")


class Torch(OfTests):
    """Import torch."""

    name = "test.torch"
    resource = "gpu"

    def run(self, inputs: Any, params: FlagParams, context: Any) -> dict[str, Any]:
        import torch

        return {"column": self.column(inputs) + torch.ones(1).item()}


def note(flag: str, what: object) -> None:
    with Path(flag).with_suffix(".noted").open("a") as file:
        file.write(f"{what}\n")


def notes(flag: str | Path) -> list[str]:
    """What was noted beside a flag."""
    path = Path(flag).with_suffix(".noted")
    return path.read_text().splitlines() if path.exists() else []


def forget(flag: Path) -> list[str]:
    """What was noted beside a flag, which then starts anew."""
    lines = notes(flag)
    flag.with_suffix(".noted").unlink(missing_ok=True)
    return lines


OWN = (
    Failing,
    Constant,
    Restless,
    Follower,
    Silent,
    Talkative,
    Interrupted,
    Finishing,
    Flaky,
    Drifting,
    Measuring,
    Endless,
    Greedy,
    HalfExport,
    Blocks,
    Mortal,
    Halting,
    Slow,
    Joining,
    OnDevice,
    TorchOnDevice,
    Turns,
    Segfault,
    Eating,
    Hanging,
    DeviceMemory,
    DeviceLost,
    Torch,
)


def register() -> None:
    """Add these step types to the catalogue."""
    catalogue.STEPS.update({kind.name: f"steps_of_tests:{kind.__name__}" for kind in OWN})

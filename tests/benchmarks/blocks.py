"""How well do gene blocks fill the cores of a machine, and the workers of a cluster?

    python tests/benchmarks/blocks.py [--quick] [--json]

prints how much faster the blocks of the score test (35,554 genes x 1,470 spots) are with two threads than with
one, timed in turns, so that other work on the machine disturbs both alike; and how much faster blocks are on four
workers of a dask cluster than on one, where each block waits 200 ms for its counts, as it may in an object store.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import svg as benchmark
from distributed import Client, LocalCluster
from threadpoolctl import threadpool_limits

from spatialrun import api
from spatialrun.execute.apply import Options
from spatialrun.execute.events import Event
from spatialrun.execute.streaming import stream
from spatialrun.steps import catalogue
from spatialrun.steps.contract import StreamingStep

LATENCY = 0.2
GENES_A_BLOCK = 16
N_GENES = 1024
RECIPE = """\
spatialrun: 1
store: {store}
samples: {{section: }}
steps:
  - {{id: simulate, uses: simulate.visium, with: {{n_spots: 100, n_genes: {genes}, n_svg: 8, image_size: 64}}}}
  - {{id: read, uses: read.visium, with: {{min_counts: 0, min_spots: 0}}}}
  - {{id: moran, uses: svg.moran, with: {{layer: counts}}}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        rows = threads(Path(name), 3 if arguments.quick else 7) | cluster(Path(name))
    print(json.dumps(rows, indent=2) if arguments.json else benchmark.table(rows))


def threads(folder: Path, repeats: int) -> dict[str, float]:
    """Seconds of the blocks with one thread and with two, in turns: medians, and the median of the ratios."""
    benchmark.prepare(folder, None)
    step = catalogue.get("svg.spatialde")
    assert isinstance(step, StreamingStep)
    store, inputs = benchmark.inputs_of(folder)
    context, params, partial = benchmark.Silent(), step.Params(), store.partial("threads")
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with threadpool_limits(1, user_api="blas"):
        made = step.setup(inputs, params, context)
        setup = benchmark.HeldInputs({name: benchmark.Held(value) for name, value in made.items()})
        for turn in range(repeats + 1):
            for number in seconds:
                partial.discard()
                flight = {"in_flight": number + 1 if number > 1 else 1, "stopping": lambda: False}
                begun = time.perf_counter()
                stream(step, setup, inputs, params, partial, context, **flight)
                if turn:  # the first was for the compiler
                    seconds[number].append(time.perf_counter() - begun)
    ratios = [one / two for one, two in zip(*seconds.values(), strict=True)]
    return {
        "one_thread_s": statistics.median(seconds[1]),
        "two_threads_s": statistics.median(seconds[2]),
        "two_threads_faster": statistics.median(ratios),
    }


def cluster(folder: Path) -> dict[str, float]:
    """Seconds of blocks that wait for their counts, on one warm worker and on four, and of the whole runs."""
    found: dict[str, float] = {}
    for workers in (1, 4):
        with (
            LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None
            ) as made,
            Client(made) as client,
        ):
            client.run(_wait_in_each_block)
            # A worker imports and compiles what its first block needs.
            _apply(folder / f"warm{workers}", 4 * workers * GENES_A_BLOCK, made.scheduler_address)
            whole, times = _apply(folder / f"timed{workers}", N_GENES, made.scheduler_address)
        found[f"workers_{workers}_whole_s"] = whole
        # The first answer comes one round after the beginning, whatever the number of workers.
        found[f"workers_{workers}_s"] = (times[-1] - times[0]) * len(times) / (len(times) - workers)
    found["four_workers_faster"] = found["workers_1_s"] / found["workers_4_s"]
    return found


def _apply(folder: Path, n_genes: int, scheduler: str) -> tuple[float, list[float]]:
    """Read here and test on the cluster; seconds of the latter, and when each block was done."""
    folder.mkdir()
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(store="store", genes=n_genes))
    times: list[float] = []

    def hear(event: Event) -> None:
        if event.kind == "task-progress" and event.step == "moran":
            times.append(time.perf_counter())

    loaded = api.load(str(recipe))
    loaded.select(until=["read"]).apply(Options(jobs=1, scheduler=None))
    begun = time.perf_counter()
    outcome = loaded.apply(Options(scheduler=scheduler), hear)
    assert not outcome.errors
    return time.perf_counter() - begun, times


def _wait_in_each_block() -> None:
    """Make blocks small, and each wait as long as an object store may take (run on a worker)."""
    from spatialrun.steps import blocks, moran

    blocks.FEWEST_GENES = blocks.MOST_GENES = GENES_A_BLOCK
    compute = moran.SvgMoran.block

    def late(self: moran.SvgMoran, *arguments: Any) -> Any:
        time.sleep(LATENCY)
        return compute(self, *arguments)

    moran.SvgMoran.block = late  # type: ignore[method-assign]


if __name__ == "__main__":
    main()

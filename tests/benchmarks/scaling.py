"""What spots, genes and samples cost: three lines that should be straight, in recipes/scaling.png.

    python tests/benchmarks/scaling.py            # 6 minutes on two cores
    python tests/benchmarks/scaling.py --quick    # up to 100,000 spots and 8 samples

draws seconds of the processor, of all threads, against the number of spots (1,000 genes of the same depth on a
lattice), of genes (on 20,000 spots) and of samples (whole runs of `apply`), and prints the slopes of their
logarithms.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import svg as benchmark

HERE = Path(__file__).resolve().parent
FIGURE = HERE.parents[1] / "recipes" / "scaling.png"
SPOTS = (1_500, 5_000, 20_000, 50_000, 100_000, 200_000, 500_000)
GENES = (500, 1_000, 2_000, 4_000, 8_000, 16_000)
SAMPLES = (1, 2, 4, 8, 16, 32)
GENES_OF_SPOTS, SPOTS_OF_GENES, MEAN = 1_000, 20_000, 0.02
LINEAR_FROM = 20_000
METHODS = ("svg.spatialde", "svg.moran")
RECIPE = """\
spatialrun: 1
store: store
samples:
{samples}
steps:
  - {{id: read, uses: read.visium}}
  - {{id: log, uses: normalize.log}}
  - {{id: svg, uses: svg.spatialde}}
"""

Points = dict[str, list[tuple[int, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--figure", type=Path, default=FIGURE)
    parser.add_argument("--measure", type=int, nargs=2, metavar=("SPOTS", "GENES"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(*arguments.measure)))
        return
    spots = [(n, GENES_OF_SPOTS) for n in SPOTS if not arguments.quick or n <= 100_000]
    genes = [(SPOTS_OF_GENES, n) for n in GENES if not arguments.quick or n <= 4_000]
    by_spots, by_genes = lines(spots, 0), lines(genes, 1)
    by_samples = {"apply": [(n, run(n)) for n in SAMPLES if not arguments.quick or n <= 8]}
    for method, points in by_spots.items():
        print(f"{method}: slope {slope(points, LINEAR_FROM):.2f} from {LINEAR_FROM:,} spots on")
    for method, points in by_genes.items():
        print(f"{method}: slope {slope(points, GENES[1]):.2f} from {GENES[1]:,} genes on")
    draw({"spots": by_spots, "genes": by_genes, "samples": by_samples}, arguments.figure)


def lines(sizes: list[tuple[int, int]], which: int) -> Points:
    """Measure samples of so many spots and genes, each in a process of its own."""
    found: Points = {method: [] for method in METHODS}
    for size in sizes:
        command = [sys.executable, __file__, "--measure", *map(str, size)]
        seconds = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        for method in METHODS:
            found[method].append((size[which], seconds[method]))
        print(f"{size[0]:>8,} spots {size[1]:>6,} genes {seconds}", file=sys.stderr, flush=True)
    return found


def measure(n_spots: int, n_genes: int) -> dict[str, float]:
    """Seconds of the processor that each method takes, the compiler's left out."""
    benchmark.warm_up()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        benchmark.keep(folder, *benchmark.bins(n_spots, n_genes, MEAN))
        found = {}
        for method, params in zip(METHODS, ({}, {"layer": "counts"}), strict=True):
            if n_spots <= SPOTS_OF_GENES:  # what the compiler made takes longer to load than to run
                benchmark.staged(folder, method, **params)
            used = benchmark.staged(folder, method, **params)["processor"]
            found[method] = round(float(sum(used.values())), 3)
    return found


def run(number: int) -> float:
    """Seconds of the processor for a whole run of so many samples."""
    from spatialrun.methods.simulate import simulate_visium
    from spatialrun.readers import simulated

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for index in range(number):
            made = simulate_visium(n_spots=1_500, n_genes=2_000, image_size=100, seed=index)
            simulated.write(made, folder / f"s{index}")
        listed = "\n".join(f"  s{index}: {{path: s{index}/outs}}" for index in range(number))
        (folder / "recipe.yaml").write_text(RECIPE.format(samples=listed))
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [sys.executable, "-m", "spatialrun", "apply", "-q", str(folder / "recipe.yaml")]
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    print(
        f"{number:>8,} samples {used:.1f} s, {time.perf_counter() - begun:.1f} s", file=sys.stderr, flush=True
    )
    return used


def slope(points: list[tuple[int, float]], least: int) -> float:
    """Return the slope of log cost against log size, from a size on."""
    size, cost = np.log(np.array([point for point in points if point[0] >= least], float)).T
    return float(np.polyfit(size, cost, 1)[0])


def draw(panels: dict[str, Points], path: Path) -> None:
    """Draw a panel for spots, genes and samples, with a line of slope 1 to compare with."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 3.0), layout="constrained")
    for axes, (name, points) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        for method, line in points.items():
            axes.loglog(*zip(*line, strict=True), "o-", markersize=4, linewidth=1.2, label=method)
        size, cost = np.array(next(iter(points.values()))[-1])
        first = next(iter(points.values()))[0][0]
        axes.loglog([first, size], [cost * first / size, cost], ":", color="0.6", label="slope 1")
        axes.set_xlabel(name)
        axes.grid(which="major", color="0.92")
        axes.set_ylim(top=6.0 * axes.get_ylim()[1])  # room for the legend
        axes.legend(frameon=False, fontsize=8, loc="upper left")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("processor seconds")
    figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()

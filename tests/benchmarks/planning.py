"""What does a plan cost? Seconds and memory of `spatialrun plan`, from cold Python, for 1,000 samples x 10 steps.

    python tests/benchmarks/planning.py [--samples 1000] [--repeats 3]

prints, for whole processes: the first plan, where there is no store yet; the plan where all is cached; and the
plan after a parameter was changed for every sample. Every sample has a Space Ranger folder of its own. What the
tasks have made is computed for the first sample, and for all others written into the store as if it had been.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS)]

from lab import Lab  # noqa: E402
from large import STEPS, finish, measure, sections  # noqa: E402

CHANGED = "steps.svg.with.n_svg=11"


def show(title: str, repeats: int, *words: str) -> None:
    """Measure a few times, and print the best."""
    taken = [measure(*words) for _ in range(repeats)]
    best = min((cost for cost, _ in taken), key=lambda cost: cost.wall_s)
    memory = max(cost.memory for cost, _ in taken)
    print(f"{title:28s} {best.wall_s:8.2f} {best.cpu_s:8.2f} {memory / 1e6:8.0f}  {taken[-1][1]}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=1000, help="how many samples; ten tasks each")
    parser.add_argument("--repeats", type=int, default=3, help="of which the fastest counts")
    parser.add_argument("--folder", type=Path, help="where to make recipe and store, kept if given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = options.folder or Path(temporary)
        lab = Lab(root, sections(root / "data", options.samples), STEPS)
        lab.load()
        print(f"{'':28s} {'seconds':>8s} {'CPU s':>8s} {'peak MB':>8s}")
        show("first plan", options.repeats, "plan", str(lab.recipe))
        finish(lab)
        show("plan, all cached", options.repeats, "plan", str(lab.recipe))
        show("plan, one change", options.repeats, "plan", str(lab.recipe), "--set", CHANGED)


if __name__ == "__main__":
    main()

"""The whole table of benchmarks with one command: ours, and peers where they run.

    python tests/benchmarks/table.py                                  # 15 minutes on two cores
    python tests/benchmarks/table.py --quick                          # the small sizes, 3 minutes
    python tests/benchmarks/table.py --squidpy envs/squidpy/bin/python

prints a table in markdown, and appends it to LOG (``--log``, results/benchmarks.jsonl by default), a line of
JSON for each time, with the machine's description. Every measurement is a script of its own beside this one, and
runs in a process of its own; peers run in their own environments: squidpy's Moran's I where ``--squidpy`` names
an interpreter that has it, the score test's formulas with whole matrices at 1,470 spots.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LOG = HERE.parents[1] / "results" / "benchmarks.jsonl"
LIBRARIES = ("spatialrun", "numpy", "scipy", "numba", "zarr")
HEADER = ("data", "method", "seconds", "processor s", "whole process s", "peak GB", "remark")


@dataclass(frozen=True)
class Row:
    """One line of the table; None where a column says nothing of the method.

    ``seconds`` and ``processor_s`` are warm, from the stored matrix to the result, medians of the repeats;
    ``whole_s`` is a command as a user gives it.
    """

    data: str
    method: str
    seconds: float | None = None
    processor_s: float | None = None
    whole_s: float | None = None
    peak_gb: float | None = None
    remark: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the small sizes, fewer repeats")
    parser.add_argument("--squidpy", metavar="PYTHON", help="an interpreter that has squidpy")
    parser.add_argument("--log", type=Path, default=LOG)
    arguments = parser.parse_args()
    begun = time.monotonic()
    rows = []
    for row in measured(quick=arguments.quick, squidpy=arguments.squidpy):
        rows.append(row)
        print(f"{time.monotonic() - begun:5.0f} s  {row.data}: {row.method}", file=sys.stderr, flush=True)
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, {about['memory_gb']:.0f} GB, Python {about['python']}\n")
    print(markdown(rows))
    arguments.log.parent.mkdir(parents=True, exist_ok=True)
    entry = {"machine": about, "quick": arguments.quick, "rows": [asdict(row) for row in rows]}
    with arguments.log.open("a") as log:
        log.write(json.dumps(entry) + "\n")


def measured(*, quick: bool, squidpy: str | None) -> Iterator[Row]:
    """Run every benchmark; yield the rows as they come."""
    for size in (None,) if quick else (None, "20k", "100k", "500k"):
        yield from genes(size, quick=quick, squidpy=squidpy)
    for spots in (1500,) if quick else (1500, 20_000):
        yield from domains(spots)
    found = script("blocks.py", *(["--quick"] if quick else []), "--json")
    yield Row(
        "1,470 spots x 35,554 genes",
        "blocks of the score test, 2 threads",
        found["two_threads_s"],
        remark=f"{found['two_threads_faster']:.2f} times as fast as 1 thread",
    )
    yield Row(
        "64 blocks, 200 ms latency each",
        "dask cluster, 4 workers",
        found["workers_4_s"],
        whole_s=found["workers_4_whole_s"],
        remark=f"{found['four_workers_faster']:.2f} times as fast as 1 worker",
    )


def genes(size: str | None, *, quick: bool, squidpy: str | None) -> Iterator[Row]:
    """Yield the rows of the tests for spatially variable genes."""
    options = [*(["--size", size] if size else []), *(["--quick"] if quick else [])]
    found = script("svg.py", "--json", *options, *(["--squidpy", squidpy] if squidpy else []))
    data = f"{found['spots']:,} spots x {found['genes']:,} genes"
    kernel = max((value for name, value in found.items() if name.startswith("kernel_error")), default=None)
    errors = [f"error of Q {found['error_Q']:.0e}"] if "error_Q" in found else []
    errors += [f"of kernels {kernel:.0e}"] if kernel else []
    yield Row(
        data,
        "svg.spatialde",
        found["warm_s"],
        found["processor_s"],
        found.get("apply_s"),
        found["peak_gb"],
        ", ".join(errors),
    )
    if "dense_s_a_gene" in found and size is None:
        yield Row(
            data,
            "the same formulas, whole matrices",
            found["dense_s_a_gene"] * found["genes"],
            remark=f"{1000 * found['dense_s_a_gene']:.0f} ms a gene, of a sample of genes",
        )
    yield Row(data, "svg.moran", found["moran_s"], found["moran_processor_s"])
    if squidpy:
        few = f"{found['spots']:,} spots x {found['squidpy_genes']:,} genes"
        yield Row(few, "svg.moran", found["moran_same_genes_s"])
        same = f"I differs by {found['squidpy_difference']:.0e}"
        yield Row(few, f"squidpy {found['squidpy']}, spatial_autocorr", found["squidpy_s"], remark=same)


def domains(spots: int) -> Iterator[Row]:
    """Yield the rows of the linear and the graph network's domains."""
    for found in script("spagcn.py", "--spots", str(spots), "--repeats", "1", "--json"):
        yield Row(
            f"{found['spots']:,} spots x 18,000 genes",
            f"domains.{found['method']}",
            found["seconds"],
            found["cpu_seconds"],
            None,
            found["peak_gb"],
            f"ARI {found['ari']:.2f}",
        )


def script(name: str, *options: str) -> Any:
    """Run a script of this folder; return what it prints as JSON."""
    command = [sys.executable, str(HERE / name), *options]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return json.loads(done.stdout)


def machine() -> dict[str, Any]:
    """Describe the machine, the libraries and the time."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        cpu = names[0] if names else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in LIBRARIES},
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def markdown(rows: list[Row]) -> str:
    """Return the table."""
    lines = [[figure(value) for value in asdict(row).values()] for row in rows]
    rule = ["---", "---", "---:", "---:", "---:", "---:", "---"]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (HEADER, rule, *lines))


def figure(value: str | float | None) -> str:
    """Return a cell: three digits of a number."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()

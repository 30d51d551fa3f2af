"""A run and all of its processes stay within the memory that they were given."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csc_matrix

SIDE, N_GENES = 80, 800
STEPS = """\
steps:
  - {id: read, uses: read.h5ad, with: {min_spots: 0}}
  - {id: log, uses: normalize.log}
  - {id: variable, uses: genes.variable, with: {n_top_genes: 500}}
  - {id: svg, uses: svg.spatialde, with: {kernel_space: {SE: [60, 300], PER: [900]}}}
  - {id: pca, uses: embed.pca}
"""


def proportional(pid: int) -> int:
    """Bytes of a process and all that it began, shared pages counted once."""
    total, pids = 0, [str(pid)]
    while pids:
        each = Path("/proc") / pids.pop()
        with suppress(OSError):
            found = re.search(r"^Pss:\s+(\d+) kB", (each / "smaps_rollup").read_text(), re.MULTILINE)
            total += int(found[1]) * 1024 if found else 0
            for task in (each / "task").iterdir():
                pids += (task / "children").read_text().split()
    return total


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three samples of 6,400 spots, of which two could be worked on at a time."""
    import anndata
    import pandas as pd

    folder = tmp_path_factory.mktemp("held")
    row, column = np.divmod(np.arange(SIDE**2), SIDE)
    samples = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        counts = csc_matrix(
            rng.poisson(rng.lognormal(-1.0, 1.0, N_GENES), (SIDE**2, N_GENES)).astype(np.int32)
        )
        anndata.AnnData(
            counts.tocsr(),
            obs=pd.DataFrame(index=[f"bin{i}" for i in range(SIDE**2)]),
            var=pd.DataFrame(index=[f"gene{i}" for i in range(N_GENES)]),
            obsm={"spatial": 29.0 * np.column_stack([column, row])},
        ).write_h5ad(folder / f"s{seed}.h5ad")
        samples.append(f"  s{seed}: {{path: s{seed}.h5ad}}\n")
    (folder / "recipe.yaml").write_text(f"spatialrun: 1\nstore: store\nsamples:\n{''.join(samples)}{STEPS}")
    return folder / "recipe.yaml"


@pytest.mark.timeout(1800)
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells")
def test_the_budget_holds_for_all_processes_together(recipe: Path) -> None:
    budget = 1.0
    words = ["apply", str(recipe), "-q", "-j", "2", "--memory", f"{budget}GB"]
    run = subprocess.Popen([sys.executable, "-m", "spatialrun", *words], stderr=subprocess.PIPE, text=True)
    peak = 0
    while run.poll() is None:
        peak = max(peak, proportional(run.pid))
        time.sleep(0.05)
    assert run.returncode == 0, run.stderr.read() if run.stderr else ""
    assert peak <= 1.1 * budget * 1e9, f"{peak / 1e9:.2f} GB"

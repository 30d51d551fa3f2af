"""Estimates of memory against what tasks really take, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from string import Template

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from spatialrun import api
from spatialrun.execute.budget import needed
from spatialrun.store.store import open_store

N_SPOTS, N_GENES = 150, 1000  # spots of a side
RECIPE = Template("""\
spatialrun: 1
store: store
samples: {sample: {path: $path}}
steps:
  - {id: read, uses: $reader}
  - {id: qc, uses: qc.metrics}
  - {id: log, uses: normalize.log}
  - {id: variable, uses: genes.variable, with: {n_top_genes: 500}}
  - {id: svg, uses: svg.spatialde, with: $kernels}
  - {id: moran, uses: svg.moran}
  - {id: pca, uses: embed.pca}
  - {id: spagcn, uses: domains.spagcn, with: {n_clusters: 4, histology: false, max_epochs: 3}}
  - {id: multispati, uses: domains.multispati, with: {n_clusters: 4}}
  - {id: markers, uses: markers.spagcn}
  - {id: drawn, uses: plot.spatial, with: {color: [spagcn.refined, total_counts], ncols: 2}}
  - {id: saved, uses: export.h5ad, with: {path: out.h5ad}}
""")
STEPS = [line.split("id: ")[1].split(",")[0] for line in RECIPE.template.splitlines() if "id: " in line]
APPLY = """\
import sys
from spatialrun import api
from spatialrun.execute.apply import Options
api.load(sys.argv[1]).select(until=[sys.argv[2]]).apply(Options(jobs=1, memory=8 * 10**9, scheduler=None))
"""


@pytest.fixture(scope="module")
def lattice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lattice of 22,500 spots of bands, askew as on any slide, 3 million counts that are not zero."""
    import anndata
    import pandas as pd

    folder = tmp_path_factory.mktemp("estimates")
    row, column = np.divmod(np.arange(N_SPOTS**2), N_SPOTS)
    rng = np.random.default_rng(2)
    mean = rng.lognormal(-2.2, 1.0, N_GENES)
    columns = [rng.poisson(m * (1.0 + ((column // 40 + g) % 5 == 0))) for g, m in enumerate(mean)]
    counts = csc_matrix(np.column_stack([c.astype(np.uint16) for c in columns])).astype(np.int32)
    data = anndata.AnnData(
        counts.tocsr(),
        obs=pd.DataFrame(index=[f"bin{i}" for i in range(N_SPOTS**2)]),
        var=pd.DataFrame(index=[f"gene{i}" for i in range(N_GENES)]),
        obsm={"spatial": np.column_stack([column, row]) @ [[29.0, 0.5], [-0.5, 29.0]]},
    )
    data.write_h5ad(folder / "lattice.h5ad")
    kernels = "{kernel_space: {SE: [60, 300], PER: [900]}}"
    file = folder / "recipe.yaml"
    file.write_text(RECIPE.substitute(path="lattice.h5ad", reader="read.h5ad", kernels=kernels))
    return file


@pytest.fixture(scope="module")
def section(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A real section of 3,639 spots, default kernels."""
    file = tmp_path_factory.mktemp("section") / "recipe.yaml"
    outs = data / "dlpfc_151673" / "outs"
    file.write_text(RECIPE.substitute(path=outs, reader="read.visium", kernels="{}"))
    return file


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("sample", ["lattice", "section"])
def test_estimates_are_within_half_of_what_is_taken(sample: str, request: pytest.FixtureRequest) -> None:
    recipe: Path = request.getfixturevalue(sample)
    found = {}
    for step in STEPS:
        (estimate,) = (
            needed(planned) for planned in api.load(str(recipe)).plan() if planned.task.id.step == step
        )
        subprocess.run([sys.executable, "-c", APPLY, str(recipe), step], check=True, capture_output=True)
        run = open_store(recipe.parent / "store").runs.latest()
        assert estimate is not None
        assert run is not None
        (peak,) = (entry.facts["peak_rss"] for id, entry in run.tasks.items() if id[0] == step)
        found[step] = round(estimate / peak, 2)
    print(json.dumps(found))
    assert {step: ratio for step, ratio in found.items() if not 1 / 1.5 <= ratio <= 1.5} == {}

"""A run made by hand: two samples with a value of every kind, without readers, steps or a plan."""

import numpy as np
import pandas as pd
import scipy.sparse as sp
import xarray as xr

from spatialrun.slots import COHORT
from spatialrun.store.entries import TaskEntry
from spatialrun.store.runs import Run
from spatialrun.values import FileBytes

N_SPOTS, N_GENES = 30, 12
SCALEFACTORS = {"tissue_hires_scalef": 0.25, "tissue_lowres_scalef": 0.1, "spot_diameter_fullres": 89.5}


def sample_slots(seed=0):
    """Every slot of one sample."""
    random = np.random.default_rng(seed)
    counts = sp.random(N_SPOTS, N_GENES, 0.4, format="csc", random_state=random)
    counts.data = np.ceil(counts.data * 9).astype(np.int32)
    labels = pd.Categorical(random.choice(["0", "1", "<tumor>"], N_SPOTS), categories=["0", "1", "<tumor>"])
    tested = pd.DataFrame({"kernel": ["se", "cos"], "pval": [0.5, 0.01]}, index=["g0", "g1"])
    return {
        "axes/obs": np.array([f"AAAC{i:04}-1" for i in range(N_SPOTS)], dtype=object),
        "axes/var": np.array([f"g{i}" for i in range(N_GENES)], dtype=object),
        "layers/counts": counts.astype(np.int32),
        "layers/lognorm": counts.astype(np.float32).log1p(),
        "obs/total_counts": np.asarray(counts.sum(axis=1)).ravel().astype(np.int64),
        "obs/spagcn.domain": labels,
        "var/gene_ids": np.array([f"ENSG{i}" for i in range(N_GENES)], dtype=object),
        "var/vst.hvg": np.arange(N_GENES) < 4,
        "obsm/spatial": random.uniform(0, 800, (N_SPOTS, 2)),
        "varm/pca": random.normal(size=(N_GENES, 3)).astype(np.float32),
        "obsp/connectivities": sp.identity(N_SPOTS, format="csr", dtype=np.float32),
        "uns/spatial": {"scalefactors": SCALEFACTORS, "metadata": {"chemistry_description": "V1"}},
        "uns/spatialde": tested,
        "images/hires": picture(random, 200, 0.25),
        "images/lowres": picture(random, 80, 0.1),
        "figures/spatial": FileBytes(b"\x89PNG", ".png"),
    }


def picture(random, size, scalef):
    pixels = random.integers(0, 255, (3, size, size + 10), dtype=np.uint8)
    return xr.DataArray(pixels, dims=("c", "y", "x"), coords={"c": ["r", "g", "b"]}, attrs={"scalef": scalef})


def make_run(store, samples, metadata=None, id="run-1"):
    """Write slots of samples into a store, and save the run that made them."""
    tasks = {}
    for sample, slots in samples.items():
        attempt = store.attempt()
        outputs = {slot: attempt.write(slot, value) for slot, value in slots.items()}
        attempt.verify()
        tasks["make", sample] = TaskEntry("make", sample, "test.make", "done", "key", outputs=outputs)
        for slot, ref in outputs.items():
            if slot.startswith("figures/"):
                figure = f"runs/{id}/figures/{sample}/{slot.partition('/')[2]}{ref.meta['suffix']}"
                store.backend.link(ref.path, figure)
    named = {name: (metadata or {}).get(name, {}) for name in samples if name != COHORT}
    run = Run(id, "2026-01-01T00:00:00+00:00", "done", named, tasks)
    store.runs.save(run, "")
    return run

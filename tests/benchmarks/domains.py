"""How close are domains to the experts' layers, and what do they cost?

    python tests/benchmarks/domains.py [FOLDER] [--seeds 10] [--reference]

prints adjusted Rand indices of raw and refined labels by section, method and seed, of both sections integrated,
and of SpaGCN with the tissue image. Seconds are of a warm run from a layer in memory, memory is the peak of all.
FOLDER holds ``dlpfc_151673`` and ``dlpfc_151675``. ``--reference`` adds the reference's search, on our graph.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from spatialrun.methods import multispati, spagcn
from spatialrun.methods.normalize import log1p, to_depth
from spatialrun.methods.partition import Domains
from spatialrun.readers import spaceranger
from spatialrun.readers.sample import Sample

DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "data"
SECTIONS = ("dlpfc_151673", "dlpfc_151675")
N_DOMAINS = 7
REFERENCE = spagcn.Options(search="reference")

Run = Callable[[int], list[Domains]]


class Section:
    """The labelled spots of one section."""

    def __init__(self, folder: Path) -> None:
        sample: Sample = spaceranger.read(spaceranger.locate(folder / "outs"))
        layer = pd.read_csv(folder / "labels.csv", index_col=0)["layer"].reindex(sample.obs_names)
        kept = np.flatnonzero(layer.notna())
        counts = sample.counts[kept].tocsc()
        often = np.flatnonzero(np.diff(counts.indptr) >= 3)
        self.counts = counts[:, often]
        self.lognorm = log1p(to_depth(self.counts, None))
        self.genes = sample.var_names[often]
        self.places = sample.spatial[kept]
        self.truth = layer.to_numpy()[kept]
        self.image = sample.images["lowres"]
        self.scale = sample.scalefactors["tissue_lowres_scalef"]
        self.diameter = sample.scalefactors["spot_diameter_fullres"]
        self.z = spagcn.histology_coordinate(self.places, self.image, self.scale)


def runs_of(own: Section, *, reference: bool) -> dict[str, Run]:
    """Methods on one section."""
    options = {"spagcn": None} | ({"spagcn, reference's search": REFERENCE} if reference else {})
    runs: dict[str, Run] = {
        "multispati": lambda seed: [multispati.domains(own.counts, own.places, N_DOMAINS, seed=seed)],
        "spagcn, histology": lambda seed: [
            spagcn.domains(own.lognorm, own.places, N_DOMAINS, seed=seed, histology=own.z)
        ],
    }
    for name, chosen in options.items():
        runs[name] = lambda seed, chosen=chosen: [
            spagcn.domains(own.lognorm, own.places, N_DOMAINS, seed=seed, options=chosen)
        ]
    return runs


def cohort_runs(sections: Sequence[Section]) -> dict[str, Run]:
    """Methods on all sections together."""
    counts, lognorm = [own.counts for own in sections], [own.lognorm for own in sections]
    rest = [own.places for own in sections], [own.genes for own in sections], N_DOMAINS
    return {
        "multispati": lambda seed: multispati.integrate(counts, *rest, seed=seed),
        "spagcn": lambda seed: spagcn.integrate(lognorm, *rest, seed=seed),
    }


def table(runs: dict[str, Run], truth: np.ndarray, seeds: Sequence[int]) -> pd.DataFrame:
    """One row per method and kind of labels: an ARI for every seed, their mean and spread, domains, seconds."""
    rows = {}
    for method, run in runs.items():
        run(seeds[0])
        scores: dict[str, list[float]] = {"domain": [], "refined": []}
        seconds, numbers = [], set()
        for seed in seeds:
            start = perf_counter()
            parts = run(seed)
            seconds.append(perf_counter() - start)
            for kind, found in scores.items():
                labels = np.concatenate([getattr(part, kind) for part in parts])
                found.append(adjusted_rand_score(truth, labels))
                numbers.add(len(np.unique(labels)))
        for kind, found in scores.items():
            rows[method, kind] = {
                **dict(zip(map(str, seeds), found, strict=True)),
                "mean": np.mean(found),
                "spread": np.ptp(found),
                "domains": "/".join(map(str, sorted(numbers))),
                "seconds": np.median(seconds),
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--reference", action="store_true")
    arguments = parser.parse_args()
    seeds = [*range(arguments.seeds), 100]
    sections = {name: Section(arguments.folder / name) for name in SECTIONS}
    with pd.option_context("display.width", 220, "display.precision", 3, "display.max_columns", 30):
        for name, own in sections.items():
            scores = table(runs_of(own, reference=arguments.reference), own.truth, seeds)
            print(f"\n{name}: {len(own.truth)} spots\n{scores}")
        truth = np.concatenate([own.truth for own in sections.values()])
        print(f"\nboth, pooled\n{table(cohort_runs(list(sections.values())), truth, seeds)}")
    print(f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()

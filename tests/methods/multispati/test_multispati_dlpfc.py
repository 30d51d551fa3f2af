"""Against the experts' layers of two sections of cortex."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from spatialrun.methods import multispati
from spatialrun.readers import spaceranger

pytestmark = pytest.mark.slow

SECTIONS = ("dlpfc_151673", "dlpfc_151675")
SEEDS = range(10)


@pytest.fixture(scope="module")
def sections(data):
    """Counts, coordinates, genes and layers of the labelled spots."""
    found = {}
    for name in SECTIONS:
        sample = spaceranger.read(spaceranger.locate(data / name / "outs"))
        layer = pd.read_csv(data / name / "labels.csv", index_col=0)["layer"].reindex(sample.obs_names)
        kept = np.flatnonzero(layer.notna())
        found[name] = (
            sample.counts[kept].tocsc(),
            sample.spatial[kept],
            sample.var_names,
            layer.to_numpy()[kept],
        )
    return found


def test_accuracy_and_spread_over_seeds(sections):
    means = []
    for counts, places, _, layer in sections.values():
        scores = []
        for seed in SEEDS:
            result = multispati.domains(counts, places, 7, seed=seed)
            assert len(set(result.domain)) == len(set(result.refined)) == 7
            scores.append(
                [adjusted_rand_score(layer, result.domain), adjusted_rand_score(layer, result.refined)]
            )
        assert (np.ptp(scores, axis=0) <= 0.04).all()
        means.append(np.mean(scores, axis=0))
    assert (np.mean(means, axis=0) >= 0.55).all()


def test_cohort_gives_the_same_layer_the_same_domain(sections):
    counts, places, genes, layers = zip(*sections.values(), strict=True)
    parts = multispati.integrate(counts, places, genes, 7)
    for name in ("domain", "refined"):
        labels = np.concatenate([getattr(part, name) for part in parts])
        assert len(set(labels)) == 7
        assert adjusted_rand_score(np.concatenate(layers), labels) >= 0.52

import numpy as np
import pytest
from scipy import sparse, stats

from spatialrun.errors import UsageError
from spatialrun.methods.simulate import PATTERNS, SimulatedVisiumHd, simulate_visium_hd, visium_hd
from spatialrun.methods.simulate.visium import MICRONS_PER_PIXEL


@pytest.fixture(scope="module")
def section() -> SimulatedVisiumHd:
    return simulate_visium_hd(
        n_bins=3000, n_genes=800, n_domains=4, n_svg=80, mean_counts=300, image_size=400, seed=11
    )


@pytest.fixture(scope="module")
def counts(section):
    return sparse.vstack(list(section.counts())).tocsc()


def test_same_seed_same_sample(section, counts):
    parameters = {"n_bins": 400, "n_genes": 60, "n_svg": 8, "image_size": 64}
    one, same, other = (simulate_visium_hd(**parameters, seed=seed) for seed in (5, 5, 6))
    for name in ("array_row", "domain", "gene_names", "pattern", "effect_size"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
    first, second, third = (sparse.vstack(list(each.counts())) for each in (one, same, other))
    assert (first != second).nnz == 0
    assert (first != third).nnz > 0
    assert (sparse.vstack(list(one.counts())) != first).nnz == 0


def test_counts_come_in_stretches_of_bins(section, counts, monkeypatch):
    monkeypatch.setattr(visium_hd, "EVENTS_PER_BLOCK", 100_000)
    parts = list(section.counts())
    assert len(parts) > 5
    assert sum(part.shape[0] for part in parts) == 3000
    for part in parts:
        part.check_format(full_check=True)
        assert part.has_canonical_format
        assert part.dtype == np.int32
        assert part.data.min() > 0
    assert sum(part.sum() for part in parts) == pytest.approx(counts.sum(), rel=0.01)


def test_depth_and_dispersion(section, counts):
    totals = np.asarray(counts.sum(axis=1)).ravel()
    assert totals.mean() == pytest.approx(300, rel=0.02)
    flat = np.flatnonzero(section.effect_size == 0)
    gene = flat[np.argmax(np.asarray(counts.sum(axis=0)).ravel()[flat])]
    y, depth, alpha = counts[:, gene].toarray().ravel(), section._law.depth, section._law.alpha[gene]
    mean = depth * section._law.abundance[gene]
    pearson = (y - mean) / np.sqrt(mean + alpha * mean**2)
    assert pearson.var() == pytest.approx(1, abs=0.15)
    assert pearson.mean() == pytest.approx(0, abs=0.1)


def test_planted_domain_genes_differ_between_domains(section, counts):
    depth = section._law.depth

    def p_value(gene):
        y = counts[:, gene].toarray().ravel() / depth
        return stats.f_oneway(*(y[section.domain == d] for d in np.unique(section.domain))).pvalue

    planted = np.flatnonzero(section.pattern == "domain")
    flat = np.flatnonzero(section.pattern == "")[:40]
    assert np.mean([p_value(gene) < 1e-3 for gene in planted]) > 0.9
    assert np.mean([p_value(gene) < 1e-2 for gene in flat]) < 0.2


def test_effects_keep_a_gene_s_abundance(section):
    law = section._law
    rows = np.arange(80)
    for row in rows[:12]:
        relative = law.patterns(np.full(3000, row), law.place, law.domain)
        assert law.depth @ relative / law.depth.sum() == pytest.approx(1, rel=1e-9)
        assert np.log2(relative.max() / relative.min()) == pytest.approx(law.patterns.effect_size[row])
        assert relative.max() <= law.patterns.highest[row] * (1 + 1e-12)
    assert set(section.pattern[section.svg]) == set(PATTERNS)


def test_bins_lie_on_a_square_array_row_by_row(section):
    place = section.array_row.astype(int) * section.side + section.array_col
    assert (np.diff(place) > 0).all()
    xy = section.spatial(section.array_row, section.array_col) * MICRONS_PER_PIXEL
    beside = (np.diff(section.array_row) == 0) & (np.diff(section.array_col) == 1)
    askew = np.deg2rad(0.9)
    step = 8.0 * np.array([np.cos(askew), np.sin(askew)])
    np.testing.assert_allclose(np.diff(xy, axis=0)[beside], [step] * beside.sum(), atol=1e-9)
    assert len(np.unique(xy[:, 0])) == len(np.unique(xy[:, 1])) == len(xy)
    assert section.scalefactors["spot_diameter_fullres"] * MICRONS_PER_PIXEL == pytest.approx(8.0)
    assert section.barcodes(section.array_row[:1], section.array_col[:1])[0] == (
        b"s_008um_%05d_%05d-1" % (section.array_row[0], section.array_col[0])
    )


def test_sizes_that_cannot_be():
    with pytest.raises(UsageError, match="9 domains on 5 bins"):
        simulate_visium_hd(n_bins=5, n_domains=9)

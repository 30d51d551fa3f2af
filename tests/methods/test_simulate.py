import numpy as np
import pytest
from scipy import stats

from spatialrun.errors import UsageError
from spatialrun.methods.simulate import BENCHMARK_1470, PATTERNS, SimulatedVisium, counts, simulate_visium
from spatialrun.methods.simulate.visium import MICRONS_PER_PIXEL


@pytest.fixture(scope="module")
def section() -> SimulatedVisium:
    return simulate_visium(n_spots=700, n_genes=1200, n_domains=4, n_svg=80, image_size=1000, seed=11)


def totals(section: SimulatedVisium, axis: int) -> np.ndarray:
    return np.asarray(section.counts.sum(axis=axis)).ravel()


def domain_statistic(section: SimulatedVisium, gene: int) -> float:
    """Score test of a gene's differences between domains given depth, relative to its null distribution."""
    depth = totals(section, 1)
    y = section.counts[:, gene].toarray().ravel()
    mu = depth * y.sum() / depth.sum()
    residual = (y - mu) / np.sqrt(mu)
    residual /= residual.std()
    groups = [residual[section.domain == d] for d in np.unique(section.domain)]
    return stats.f_oneway(*groups).pvalue


def test_same_seed_same_sample():
    parameters = {"n_spots": 50, "n_genes": 60, "n_svg": 8, "image_size": 100}
    one, same, other = (simulate_visium(**parameters, seed=seed) for seed in (5, 5, 6))
    for name in ("barcodes", "gene_names", "spatial", "domain", "svg", "pattern", "effect_size"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
    np.testing.assert_array_equal(one.images["hires"], same.images["hires"])
    assert (one.counts != same.counts).nnz == 0
    assert (one.counts != other.counts).nnz > 0


def test_blocks_of_genes_only_bound_the_memory(monkeypatch):
    """The sizes of the blocks are part of the stream of draws; totals still follow the same law."""
    parameters = {"n_spots": 60, "n_genes": 300, "n_svg": 0, "image_size": 50}
    whole = simulate_visium(**parameters)
    monkeypatch.setattr(counts, "CELLS_PER_BLOCK", 700)
    cut = simulate_visium(**parameters)
    assert cut.counts.shape == whole.counts.shape
    assert cut.counts.sum() == pytest.approx(whole.counts.sum(), rel=0.05)


def test_shapes_and_types(section):
    assert section.counts.shape == (700, 1200)
    assert section.counts.dtype == np.int32
    assert section.counts.format == "csc"
    section.counts.check_format(full_check=True)
    assert section.counts.has_canonical_format
    assert section.counts.data.min() > 0
    assert len(set(section.barcodes)) == 700
    assert list(section.barcodes) == sorted(section.barcodes)
    assert all(len(name) == 18 and name.endswith("-1") for name in section.barcodes)
    assert len(set(section.gene_names)) == len(set(section.gene_ids)) == 1200
    assert sum(name.startswith("MT-") for name in section.gene_names) == 13


def test_array_is_hexagonal_with_visium_distances(section):
    assert ((section.array_row + section.array_col) % 2 == 0).all()
    assert section.array_row.max() < 78
    assert section.array_col.max() < 128
    um = section.spatial * MICRONS_PER_PIXEL
    distances = np.hypot(*(um[:, None] - um[None]).transpose(2, 0, 1))
    np.fill_diagonal(distances, np.inf)
    assert distances.min() == pytest.approx(100.0)
    assert np.median((distances < 100.1).sum(axis=1)) == 6
    assert section.scalefactors["spot_diameter_fullres"] * MICRONS_PER_PIXEL == pytest.approx(55.0)


def test_more_spots_than_a_slide_has():
    large = simulate_visium(n_spots=6000, n_genes=20, n_svg=0, image_size=100)
    assert large.counts.shape[0] == 6000
    assert len(set(zip(large.array_row.tolist(), large.array_col.tolist(), strict=True))) == 6000


def test_domains_are_layers(section):
    assert set(section.domain) == {1, 2, 3, 4}
    assert np.bincount(section.domain)[1:].min() > 700 / 4 / 4
    um = section.spatial
    nearest = np.argsort(np.hypot(*(um[:, None] - um[None]).transpose(2, 0, 1)), axis=1)[:, 1:7]
    assert (section.domain[nearest] == section.domain[:, None]).mean() > 0.8
    # Layers only touch the next ones.
    assert np.abs(section.domain[nearest] - section.domain[:, None]).max() == 1


def test_counts_are_negative_binomial():
    """Two moments over many independent draws of the same entry."""
    rng = np.random.default_rng(0)
    depth, abundance, alpha = np.full(200_000, 4.0), np.array([0.02, 1.0, 30.0]), np.array([0.1, 0.5, 2.0])
    flat = counts.Effects(
        np.zeros((1, 2)), np.ones(1), depth, np.full(3, ""), effect_size=np.zeros(3), seed=0
    )
    drawn = counts.draw_counts(rng, depth, abundance, alpha, flat)
    for gene in range(3):
        y = drawn[:, gene].toarray().ravel()
        mean = 4.0 * abundance[gene]
        variance = mean + alpha[gene] * mean**2
        assert y.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / len(y)))
        assert y.var() == pytest.approx(variance, rel=0.08)
        expected_zeros = (1 + alpha[gene] * mean) ** (-1 / alpha[gene])
        assert (y == 0).mean() == pytest.approx(expected_zeros, abs=0.005)


def test_depth_is_log_normal(section):
    depth = np.log(totals(section, 1))
    assert np.exp(depth).mean() == pytest.approx(5000, rel=0.02)
    residual = (
        depth - np.array([depth[section.domain == d].mean() for d in range(5) if d])[section.domain - 1]
    )
    assert residual.std() == pytest.approx(0.4, abs=0.05)
    assert abs(stats.skew(residual)) < 0.5


def test_truth_is_complete(section):
    assert section.svg.sum() == 80
    assert {kind: (section.pattern == kind).sum() for kind in PATTERNS} == dict.fromkeys(PATTERNS, 20)
    np.testing.assert_array_equal(section.svg, section.pattern != "")
    np.testing.assert_array_equal(section.svg, section.effect_size > 0)
    assert totals(section, 0)[section.svg].min() > 100


def test_effects_are_as_large_as_the_truth_says(section):
    """A domain gene's share of the depth differs by its effect between its domain and the others."""
    depth = totals(section, 1)
    for gene in np.flatnonzero((section.pattern == "domain") & (totals(section, 0) > 2000)):
        y = section.counts[:, gene].toarray().ravel()
        rates = np.sort(
            [y[section.domain == d].sum() / depth[section.domain == d].sum() for d in range(1, 5)]
        )
        found = max(np.log2(rates[-1] / rates[-2]), np.log2(rates[1] / rates[0]))
        assert found == pytest.approx(section.effect_size[gene], abs=0.4)


def test_other_genes_have_no_pattern_beyond_depth(section):
    tested = np.flatnonzero(~section.svg & (totals(section, 0) > 300))
    pvalues = np.array([domain_statistic(section, gene) for gene in tested])
    assert len(tested) > 500
    assert 0.025 < (pvalues < 0.05).mean() < 0.085
    assert pvalues.min() > 1e-6
    planted = np.flatnonzero((section.pattern == "domain") & (totals(section, 0) > 300))
    assert np.median([domain_statistic(section, gene) for gene in planted]) < 1e-6


def test_image_shows_the_tissue_under_the_spots(section):
    for name, image in section.images.items():
        assert image.dtype == np.uint8
        assert image.shape[0] == 3
        x, y = np.floor(section.spatial.T * section.scalefactors[f"tissue_{name}_scalef"]).astype(int)
        brightness = image.astype(float).mean(axis=0)
        assert (brightness[y, x] < 235).all()
        corners = brightness[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert (corners > 235).all()
        share = (brightness < 235).mean()
        area = 700 * 100 * 100 * np.sqrt(3) / 2
        frame = (
            np.prod(image.shape[1:])
            * (MICRONS_PER_PIXEL / section.scalefactors[f"tissue_{name}_scalef"]) ** 2
        )
        assert share == pytest.approx(area / frame, rel=0.15)
    assert max(section.images["hires"].shape) == 1000
    assert max(section.images["lowres"].shape) == 600


@pytest.mark.parametrize(
    "wrong", [{"n_domains": 0}, {"n_spots": 3}, {"n_svg": 3000}, {"n_genes": 0, "n_svg": 0}]
)
def test_impossible_sizes(wrong):
    with pytest.raises(UsageError):
        simulate_visium(**wrong)


def test_one_gene_one_domain_one_spot():
    tiny = simulate_visium(n_spots=1, n_genes=1, n_domains=1, n_svg=1, image_size=20)
    assert tiny.counts.shape == (1, 1)
    assert tiny.domain.tolist() == [1]


def test_benchmark_is_a_whole_transcriptome():
    benchmark = simulate_visium(**BENCHMARK_1470)
    assert benchmark.counts.shape == (1470, 35_554)
    assert benchmark.counts.nnz == pytest.approx(3.4e6, rel=0.05)
    assert (totals(benchmark, 0) < 10).mean() == pytest.approx(0.5, abs=0.03)

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from formulas import dense, written_out
from scipy.sparse import csc_matrix

from spatialrun.errors import DataError, UsageError
from spatialrun.methods.spatialde import Kernel, combine, default_kernels, score_block, setup

KERNELS = [
    Kernel("SE", 200.0),
    Kernel("SE", 700.0),
    Kernel("SE", 4000.0),
    Kernel("PER", 300.0),
    Kernel("linear"),
]


@pytest.mark.parametrize("statistic", ["default", "reference"])
def test_negative_binomial_scores_equal_dense_formulas(sample, statistic) -> None:
    prepared = setup(sample.coordinates, sample.size, KERNELS, statistic=statistic)
    result = score_block(prepared, *sample.columns)
    y = sample.counts.toarray().astype(float)
    assert result["tested"].sum() > 50
    for k, kernel in enumerate(KERNELS):
        K = dense(kernel, sample.coordinates)
        for g in np.flatnonzero(result["tested"]):
            mu, alpha = result["m"][g] * sample.size, result["alpha"][g]
            Q, e, default, frobenius = written_out(
                K, mu / (1 + alpha * mu), (y[:, g] - mu) / (1 + alpha * mu)
            )
            assert abs(result["Q"][g, k] - Q) <= 1e-8 * e
            assert result["e"][g, k] == pytest.approx(e, rel=1e-9)
            assert result["I"][g, k] == pytest.approx(
                default if statistic == "default" else frobenius, rel=1e-8
            )


def test_normal_scores_equal_dense_formulas(sample) -> None:
    y = np.log1p(sample.counts.toarray()[:, 20:40] / sample.size[:, None] * 1e4)
    values = csc_matrix(y)
    result = score_block(
        setup(sample.coordinates, None, KERNELS, obs_dist="normal"),
        values.indptr,
        values.indices,
        values.data,
    )
    assert result["tested"].all()
    for k, kernel in enumerate(KERNELS):
        K = dense(kernel, sample.coordinates)
        for g in range(y.shape[1]):
            W = np.full(len(y), 1.0 / y[:, g].var())
            Q, e, information, _ = written_out(K, W, W * (y[:, g] - y[:, g].mean()))
            assert abs(result["Q"][g, k] - Q) <= 1e-8 * e
            assert result["e"][g, k] == pytest.approx(e, rel=1e-9)
            assert result["I"][g, k] == pytest.approx(information, rel=1e-8)
    assert (result["log10p"] <= 0).all()


def test_a_pattern_is_found_and_noise_is_not(sample) -> None:
    rng = np.random.default_rng(5)
    x = sample.coordinates
    left = (x[:, 0] < np.median(x[:, 0])).astype(float)
    mu = sample.size / sample.size.mean()
    counts = csc_matrix(np.column_stack([rng.poisson(mu * 3 * (0.5 + left)), rng.poisson(mu * 3)]))
    prepared = setup(x, sample.size, default_kernels(x))
    result = score_block(prepared, counts.indptr, counts.indices, counts.data)
    assert result["log10p"][0].min() < -15
    assert result["log10p"][1].min() > -3


def test_blocks_and_threads_change_no_bit(sample) -> None:
    kernels = default_kernels(sample.coordinates)
    whole = score_block(setup(sample.coordinates, sample.size, kernels), *sample.columns)
    prepared = setup(sample.coordinates, sample.size, kernels, threads=3)

    def block(start: int) -> dict[str, np.ndarray]:
        part = sample.counts[:, start : start + 7]
        return score_block(prepared, part.indptr, part.indices, part.data)

    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(block, range(0, sample.counts.shape[1], 7)))
    for key, value in whole.items():
        np.testing.assert_array_equal(np.concatenate([part[key] for part in parts]), value, err_msg=key)


def test_genes_under_min_counts_are_marked_untested(sample) -> None:
    counts = csc_matrix(sample.counts.toarray()[:, :3] * np.array([0, 1, 1]))
    prepared = setup(sample.coordinates, sample.size, KERNELS)
    total = np.asarray(counts.sum(axis=0)).ravel()
    result = score_block(prepared, counts.indptr, counts.indices, counts.data, min_counts=int(total[1]) + 1)
    np.testing.assert_array_equal(result["tested"], total > total[1])
    for key in ("m", "alpha", "Q", "e", "I", "log10p"):
        assert np.isnan(result[key][~result["tested"]]).all(), key
    assert result["total"][0] == 0


def test_spots_without_size_are_left_out(sample) -> None:
    size = sample.size.copy()
    size[::5] = 0
    kept = size > 0
    with_gaps = score_block(setup(sample.coordinates, size, KERNELS), *sample.columns)
    part = sample.counts[kept]
    without = score_block(
        setup(sample.coordinates[kept], size[kept], KERNELS), part.indptr, part.indices, part.data
    )
    for key, value in without.items():
        np.testing.assert_array_equal(with_gaps[key], value, err_msg=key)


def test_stored_zeros_and_number_types_change_nothing(sample) -> None:
    prepared = setup(sample.coordinates, sample.size, KERNELS)
    dense_counts = sample.counts.toarray()
    n, genes = dense_counts.shape
    result = score_block(
        prepared,
        np.arange(genes + 1) * n,
        np.tile(np.arange(n), genes),
        dense_counts.T.ravel().astype(np.float32),
    )
    expected = score_block(prepared, *sample.columns)
    for key, value in expected.items():
        np.testing.assert_array_equal(result[key], value, err_msg=key)


def test_a_block_may_be_empty(sample) -> None:
    result = score_block(setup(sample.coordinates, sample.size, KERNELS), [0], [], [])
    assert result["log10p"].shape == (0, len(KERNELS))
    table = combine(result["log10p"], result["total"], result["tested"], ["SE"], [1.0])
    assert table["rank"].shape == (0,)


def test_odd_genes_and_equal_sizes_get_a_finite_p(sample) -> None:
    n = len(sample.coordinates)
    one_spot = np.eye(1, n)[0] * 500
    two_spots = np.zeros(n)
    two_spots[[3, 4]] = 40
    counts = csc_matrix(
        np.column_stack([np.full(n, 4.0), one_spot, two_spots, np.arange(n), np.eye(1, n)[0] * 1e6])
    )
    for size in (np.ones(n), sample.size):
        prepared = setup(sample.coordinates, size, default_kernels(sample.coordinates))
        result = score_block(prepared, counts.indptr, counts.indices, counts.data)
        assert result["tested"].all()
        table = combine(
            result["log10p"],
            result["total"],
            result["tested"],
            prepared["kernel_kind"],
            prepared["kernel_lengthscale"],
        )
        assert np.isfinite(table["log10p"]).all()
        assert (table["log10p"] <= 0).all()
        assert table["log10p"][3] < -5


def test_different_genes_do_not_tie_and_equal_genes_do(sample) -> None:
    prepared = setup(sample.coordinates, sample.size, default_kernels(sample.coordinates))
    twice = csc_matrix(np.tile(sample.counts.toarray(), 2))
    result = score_block(prepared, twice.indptr, twice.indices, twice.data)
    table = combine(
        result["log10p"],
        result["total"],
        result["tested"],
        prepared["kernel_kind"],
        prepared["kernel_lengthscale"],
    )
    first, second = np.split(table["log10p"], 2)
    np.testing.assert_array_equal(first, second)
    tested = first[~np.isnan(first)]
    assert len(np.unique(tested)) == len(tested)


def test_a_null_model_is_for_the_reference_alone(sample) -> None:
    with pytest.raises(UsageError):
        score_block(setup(sample.coordinates, sample.size, KERNELS), *sample.columns, null_model=(1.0, 0.0))


@pytest.mark.parametrize(
    ("obs_dist", "bad", "code"),
    [
        ("negative_binomial", -1.0, "data.counts"),
        ("negative_binomial", 1.5, "data.counts"),
        ("negative_binomial", np.nan, "data.counts"),
        ("normal", np.nan, "data.values"),
    ],
)
def test_bad_values_are_an_error(sample, obs_dist, bad, code) -> None:
    prepared = setup(sample.coordinates, sample.size, KERNELS, obs_dist=obs_dist)
    with pytest.raises(DataError) as caught:
        score_block(prepared, [0, 1], [0], [bad])
    assert caught.value.code == code

"""Samples of many spots: the same statistics without a matrix of spots by spots."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from spatialrun.methods.spatialde import (
    Kernel,
    default_kernels,
    preparation,
    quadratic,
    score_block,
    setup,
    spectrum,
)
from spatialrun.methods.spatialde.columns import Columns
from spatialrun.methods.spatialde.grid import Grid, Spots
from spatialrun.methods.spatialde.levels import errors, regime, sources

SPOTS = 900
REGIMES = {"grid", "coarse grid", "low rank", "neighbours"}


def places(kind: str) -> np.ndarray:
    rng = np.random.default_rng(7)
    side = int(np.sqrt(SPOTS))
    lattice = np.stack(np.meshgrid(np.arange(float(side)), np.arange(float(side))), axis=-1).reshape(-1, 2)
    if kind == "lattice":
        return 8.0 * lattice
    if kind == "turned":
        turn = np.array([[np.cos(0.3), np.sin(0.3)], [-np.sin(0.3), np.cos(0.3)]])
        return rng.permutation(8.0 * lattice + rng.normal(0.0, 0.3, lattice.shape)) @ turn
    return rng.random((SPOTS, 2)) * 8.0 * side


def sample(x: np.ndarray) -> tuple[np.ndarray, csc_matrix]:
    rng = np.random.default_rng(3)
    size = np.round(rng.lognormal(6.0, 0.6, len(x)))
    size[::50] = 0.0
    mean, alpha = np.geomspace(0.02, 8.0, 30), np.tile([0.0, 0.05, 0.3, 1.0, 4.0], 6)
    mu = mean * (size / size.mean())[:, None]
    mu *= np.where(np.arange(30) % 4 == 0, np.exp(0.5 * np.sin(x[:, :1] / 30.0)), 1.0)
    rate = np.where(alpha > 0.0, rng.gamma(1.0 / np.maximum(alpha, 1e-9), alpha, mu.shape), 1.0)
    return size, csc_matrix(rng.poisson(mu * rate).astype(np.int32))


def both(monkeypatch: pytest.MonkeyPatch, x, size, counts, kernels, **choices):
    found = []
    for largest in (10**6, 10):
        monkeypatch.setattr(preparation, "SPOTS_FOR_GRIDS", largest)
        monkeypatch.setattr(preparation, "LARGEST_WHOLE", largest)
        prepared = setup(x, size, kernels, **choices)
        found.append((prepared, score_block(prepared, counts.indptr, counts.indices, counts.data)))
    return found


@pytest.mark.parametrize("kind", ["lattice", "turned", "scattered"])
def test_statistics_are_those_of_whole_matrices(monkeypatch, kind) -> None:
    x = places(kind)
    size, counts = sample(x)
    (_, exact), (prepared, found) = both(monkeypatch, x, size, counts, default_kernels(x))
    assert set(prepared["regime"]) <= REGIMES | {"exact"}
    assert (prepared["kernel_error"] < 1e-7).all()
    tested = exact["tested"]
    np.testing.assert_array_equal(found["tested"], tested)
    assert np.nanmax(np.abs(found["Q"] - exact["Q"]) / exact["e"]) < 1e-6
    np.testing.assert_allclose(found["e"], exact["e"], rtol=1e-8)
    np.testing.assert_allclose(found["I"], exact["I"], rtol=1e-6)
    # Kernels that join some spots to a neighbour or two are described better than by whole matrices.
    same = prepared["usable"] & (prepared["regime"] != "neighbours")
    np.testing.assert_allclose(found["log10p"][tested][:, same], exact["log10p"][tested][:, same], rtol=0.02)
    known = np.isin(prepared["regime"], ["coarse grid", "low rank", "exact"])
    np.testing.assert_allclose(
        found["log10p"][tested][:, known], exact["log10p"][tested][:, known], rtol=1e-5, atol=1e-6
    )
    assert np.isfinite(found["log10p"][tested][:, prepared["usable"]]).all()
    assert (found["log10p"][tested][:, prepared["usable"]] <= 0.0).all()


@pytest.mark.parametrize("kind", ["lattice", "turned"])
def test_samples_of_some_hundred_spots_are_tested_as_if_matrices_were_whole(monkeypatch, kind) -> None:
    monkeypatch.setattr(spectrum, "FEW_FEATURES", 10**6)
    monkeypatch.setattr(spectrum, "ALL", 1e-9)
    x = places(kind)
    size, counts = sample(x)
    found = []
    for least in (512, 10**6):
        monkeypatch.setattr(preparation, "SPOTS_FOR_GRIDS", least)
        prepared = setup(x, size, default_kernels(x))
        found.append((prepared, score_block(prepared, counts.indptr, counts.indices, counts.data)))
    (grids, result), (whole, exact) = found
    assert "regime" in grids
    assert "regime" not in whole
    assert np.nanmax(np.abs(result["Q"] - exact["Q"]) / exact["e"]) < 2e-7
    np.testing.assert_allclose(result["e"], exact["e"], rtol=1e-8)
    np.testing.assert_allclose(result["I"], exact["I"], rtol=1e-7)
    np.testing.assert_allclose(result["log10p"], exact["log10p"], rtol=5e-5)


@pytest.mark.parametrize("kind", ["lattice", "turned"])
def test_a_grid_that_is_too_large_for_the_cache_gives_the_same(monkeypatch, kind) -> None:
    x = places(kind)
    size, counts = sample(x)
    prepared = setup(x, size, default_kernels(x))
    found = []
    for small in (10**9, 0):
        monkeypatch.setattr(quadratic, "SMALL", small)
        found.append(score_block(prepared, counts.indptr, counts.indices, counts.data)["Q"])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10)


@pytest.mark.parametrize("kind", ["lattice", "turned", "scattered"])
def test_matrices_are_whole_for_few_spots_and_for_the_published_statistic(kind) -> None:
    x = places(kind)
    size, few = sample(x)[0], slice(0, 500)
    assert "regime" in setup(x, size, default_kernels(x))
    assert "regime" not in setup(x[few], size[few], default_kernels(x[few]))
    assert "regime" not in setup(x, size, default_kernels(x), statistic="reference")


@pytest.mark.parametrize(
    "choices", [{"statistic": "reference"}, {"obs_dist": "normal"}], ids=["reference", "normal"]
)
def test_other_statistics_too(monkeypatch, choices) -> None:
    x = places("lattice")
    size, counts = sample(x)
    kernels = [
        Kernel("linear"),
        Kernel("SE", 300.0),
        Kernel("SE", 16.0),
        Kernel("PER", 40.0),
        Kernel("SE", 20.0),
    ]
    (_, exact), (_, found) = both(monkeypatch, x, size, counts, kernels, **choices)
    tested = exact["tested"]
    assert np.nanmax(np.abs(found["Q"] - exact["Q"]) / exact["e"]) < 1e-6
    np.testing.assert_allclose(found["I"], exact["I"], rtol=1e-6)
    np.testing.assert_allclose(found["log10p"][tested], exact["log10p"][tested], rtol=0.02, atol=1e-6)


def test_blocks_threads_and_the_order_of_spots_change_nothing() -> None:
    x = places("turned")
    size, counts = sample(x)
    kernels = [Kernel("SE", 16.0), Kernel("SE", 40.0), Kernel("SE", 200.0), Kernel("PER", 40.0)]
    one, three = (setup(x, size, kernels, threads=n) for n in (1, 3))
    for key, value in one.items():
        np.testing.assert_array_equal(value, three[key], err_msg=key)
    whole = score_block(one, counts.indptr, counts.indices, counts.data)

    def block(start: int) -> dict[str, np.ndarray]:
        part = counts[:, start : start + 7]
        return score_block(one, part.indptr, part.indices, part.data)

    with ThreadPoolExecutor(3) as pool:
        parts = list(pool.map(block, range(0, counts.shape[1], 7)))
    for key, value in whole.items():
        np.testing.assert_array_equal(np.concatenate([part[key] for part in parts]), value, err_msg=key)

    shuffled = np.random.default_rng(0).permutation(len(x))
    other = counts[shuffled]
    again = score_block(setup(x[shuffled], size[shuffled], kernels), other.indptr, other.indices, other.data)
    np.testing.assert_allclose(again["log10p"], whole["log10p"], rtol=1e-6)


def test_the_block_does_not_change_what_it_is_given() -> None:
    x = places("turned")
    size, counts = sample(x)
    indices, data = counts.indices.astype(np.int64), counts.data.astype(np.float64)
    before = indices.copy(), data.copy()
    score_block(setup(x, size, [Kernel("SE", 20.0)]), counts.indptr, indices, data)
    np.testing.assert_array_equal(indices, before[0])
    np.testing.assert_array_equal(data, before[1])


def test_a_line_of_spots(monkeypatch) -> None:
    x = np.column_stack([np.arange(400.0), np.full(400, 3.0)])
    size, counts = sample(x)
    (_, exact), (_, found) = both(monkeypatch, x, size, counts, default_kernels(x))
    assert np.nanmax(np.abs(found["Q"] - exact["Q"]) / exact["e"]) < 1e-6


def test_grid_kernels_are_the_gaussian() -> None:
    x = places("turned")
    H = Columns(np.eye(len(x))[:, :11])
    d2 = np.square(x[:, None] - x[None]).sum(axis=-1)
    for lengthscale in (12.0, 40.0):
        K = np.exp(-d2 / (2.0 * lengthscale**2))
        with ThreadPoolExecutor(2) as pool:
            grid = Grid.of(Spots.of(x), lengthscale)
            np.testing.assert_allclose(grid.times(H, pool), K[:, :11], atol=1e-7)
            np.testing.assert_allclose(grid.gram(H, pool), K[:11, :11], atol=1e-7)


def test_kernels_follow_from_one_grid() -> None:
    spots = Spots.of(np.random.default_rng(1).random((20_000, 2)) * 1000.0)
    regimes = {k: regime(spots, length)[0] for k, length in enumerate((40.0, 120.0, 900.0))}
    assert [one.name for one in regimes.values()] == ["coarse grid", "coarse grid", "low rank"]
    held = sources(spots, regimes)
    assert [target.kernel for target in held[0].targets] == [0, 1, 2]
    assert max(errors(spots, regimes, held).values()) < 1e-7

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from spatialrun.methods.spatialde.tails import log_tail, mills


def standardised(dof: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([np.sqrt(2.0 / dof)]), np.array([float(dof)])


@pytest.mark.parametrize("dof", [2, 5, 50, 1000])
@pytest.mark.parametrize("p", [0.999, 0.5, 0.05, 1e-4, 1e-20, 1e-200])
def test_a_single_eigenvalue_is_a_chi_squared_tail(dof: int, p: float) -> None:
    values, counts = standardised(dof)
    x = (chi2.isf(p, dof) - dof) * values[0] / 2.0
    assert log_tail(x, values, counts, 1.0) == pytest.approx(np.log(p), rel=0.02 if p < 0.9 else 0.2)


def test_a_mixture_agrees_with_simulation() -> None:
    rng = np.random.default_rng(0)
    values = np.array([3.0, 1.0, 0.3, -0.01])
    counts = np.array([1.0, 3.0, 20.0, 300.0])
    values /= np.sqrt(0.5 * (counts * values**2).sum())
    draws = sum(v * (rng.chisquare(n, 400_000) - n) / 2 for v, n in zip(values, counts, strict=True))
    for x in (-1.0, 0.0, 1.0, 3.0, 6.0):
        assert np.exp(log_tail(x, values, counts, 1.0)) == pytest.approx((draws >= x).mean(), rel=0.06)


@pytest.mark.parametrize("spread", [1.0, 1.5, 2.9, 3.1, 20.0])
def test_tails_fall_strictly_and_stay_finite(spread: float) -> None:
    values = np.array([4.0, 2.0, 1.0, -0.01])
    counts = np.array([1.0, 10.0, 100.0, 1000.0])
    values /= np.sqrt(0.5 * (counts * values**2).sum())
    x = np.concatenate([np.linspace(-0.2, 10.0, 400), np.geomspace(10.1, 1e6, 100)])
    logp = np.array([log_tail(v, values, counts, spread) for v in x])
    assert np.isfinite(logp).all()
    assert (np.diff(logp) < 0).all()


def test_mills_ratio_is_continuous_where_its_formula_changes() -> None:
    assert mills(6.0 - 1e-12) == pytest.approx(mills(6.0), rel=1e-11)


def test_tails_are_smooth_about_the_middle() -> None:
    values, counts = np.array([4.0, 2.0, 1.0, -0.01]), np.array([1.0, 10.0, 100.0, 1000.0])
    values /= np.sqrt(0.5 * (counts * values**2).sum())
    p = np.exp([log_tail(x, values, counts, 1.0) for x in np.linspace(-0.3, 0.3, 1201)])
    assert np.abs(np.diff(p, 2)).max() < 1e-4 * p.max()

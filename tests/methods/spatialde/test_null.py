from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from spatialrun.errors import DataError
from spatialrun.methods.spatialde.family import gauss_sizes
from spatialrun.methods.spatialde.null import check_counts, fit_negative_binomial, fit_normal
from spatialrun.methods.spatialde.null_kernels import COUNTED, count_sum, entropy_term


def log_likelihood(y: np.ndarray, mu: np.ndarray, alpha: float) -> float:
    if alpha == 0.0:
        return float((y * np.log(mu) - mu - gammaln(y + 1)).sum())
    n = 1.0 / alpha
    return float(
        (
            gammaln(y + n)
            - gammaln(n)
            - gammaln(y + 1)
            - n * np.log1p(alpha * mu)
            + y * np.log(alpha * mu / (1 + alpha * mu))
        ).sum()
    )


def fit(y: np.ndarray, size: np.ndarray) -> tuple[float, float]:
    spot = np.flatnonzero(y)
    result = fit_negative_binomial(
        np.array([0, len(spot)]), spot, y[spot].astype(float), size, gauss_sizes(size), np.array([0])
    )
    return float(result.m[0]), float(result.alpha[0])


def test_no_other_dispersion_is_more_likely(sample) -> None:
    size = sample.size / sample.size.mean()
    for y in sample.counts.toarray().T:
        if y.sum() < 10:
            continue
        m, alpha = fit(y, size)
        best = log_likelihood(y, m * size, alpha)
        for other in [0.0, *np.geomspace(1e-4, 30.0, 40), alpha * 1.01, alpha * 0.99]:
            near = np.log(m) + np.array([-0.1, 0.1])
            profile = minimize_scalar(lambda x, y=y, at=other: -log_likelihood(y, np.exp(x) * size, at), near)
            assert best >= -profile.fun - 1e-8 * abs(best)


def test_counts_that_vary_less_than_poisson_have_alpha_zero() -> None:
    size = np.ones(100)
    y = np.ones(100)
    y[0], y[1] = 0, 2
    assert fit(y, size) == (1.0, 0.0)


def test_the_score_of_the_likelihood_vanishes_at_the_fit(sample) -> None:
    size = sample.size / sample.size.mean()
    y = sample.counts.toarray()[:, 54].astype(float)
    m, alpha = fit(y, size)
    assert alpha > 0.1
    mu = m * size
    assert ((y - mu) / (1 + alpha * mu)).sum() == pytest.approx(0.0, abs=1e-10 * y.sum())


def test_all_counts_in_one_spot_and_huge_counts_have_a_fit() -> None:
    size = np.ones(50)
    for y in (np.eye(1, 50)[0] * 400, np.full(50, 3e6) + np.arange(50) * 1e5, np.eye(1, 50)[0] * 1e7):
        m, alpha = fit(y, size)
        assert m == pytest.approx(y.mean(), rel=1e-9)
        assert np.isfinite(alpha)
        assert alpha > 0


def test_large_counts_are_summed_as_if_one_by_one() -> None:
    y = np.array([COUNTED * 7.0])
    for alpha in (0.0, 1e-6, 0.01, 2.0):
        j = np.arange(y[0])
        q = j / (1 + alpha * j)
        value, slope = count_sum(np.ones(COUNTED), y, alpha)
        assert value == pytest.approx(q.sum(), rel=1e-12)
        assert slope == pytest.approx(-(q * q).sum(), rel=1e-9)


def test_the_series_for_small_arguments_meets_the_closed_form() -> None:
    for x in (0.019999, 0.020001):
        value, slope = entropy_term(x)
        step = 1e-5
        assert value == pytest.approx((np.log1p(x) - x / (1 + x)) / x**2, rel=1e-12)
        assert slope == pytest.approx(
            (entropy_term(x + step)[0] - entropy_term(x - step)[0]) / (2 * step), rel=1e-6
        )


def test_normal_has_the_mean_and_variance_of_all_spots() -> None:
    y = np.array([1.0, 2.0, 4.0, 7.0, 7.0])
    result = fit_normal(np.array([0, 3, 5]), y, 3)
    np.testing.assert_allclose(result.m, [7 / 3, 14 / 3])
    np.testing.assert_allclose(result.alpha, [np.var([1, 2, 4]), np.var([7, 7, 0])])


def test_a_constant_column_is_not_fitted() -> None:
    result = fit_normal(np.array([0, 3, 3]), np.full(3, 0.1), 3)
    assert np.isnan(result.scale).all()


@pytest.mark.parametrize("bad", [-1.0, 0.5, np.nan, np.inf])
def test_values_that_are_not_counts_are_an_error(bad: float) -> None:
    with pytest.raises(DataError) as caught:
        check_counts(np.array([1.0, bad]))
    assert caught.value.code == "data.counts"

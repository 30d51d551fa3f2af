from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from spatialrun.methods.spatialde import combine
from spatialrun.methods.spatialde.ranking import benjamini_hochberg, cauchy


def test_the_plain_combination_is_that_of_liu_and_xie() -> None:
    p = np.random.default_rng(0).uniform(size=(500, 6)) ** 3
    statistic = np.tan((0.5 - p) * np.pi).mean(axis=1)
    np.testing.assert_allclose(
        np.exp(cauchy(np.log(p))), 0.5 - np.arctan(statistic) / np.pi, rtol=1e-9, atol=1e-14
    )


def test_the_combination_is_exact_far_below_what_a_double_holds() -> None:
    logp = np.array([[-2000.0 * np.log(10), -1.0, -0.1, -5.0]])
    assert cauchy(logp)[0] == pytest.approx(logp[0, 0] + np.log(4.0), rel=1e-14)
    assert cauchy(np.full((1, 4), -1e5))[0] == pytest.approx(-1e5, rel=1e-14)


def test_one_formula_continues_the_other() -> None:
    logp = np.log(np.full((2, 3), 1e-8)) + np.array([[-1e-9], [1e-9]])
    below, above = cauchy(logp)
    assert above - below == pytest.approx(2e-9, rel=1e-3)


def test_a_kernel_at_one_cannot_hide_what_another_found() -> None:
    logp = np.array([[np.log(1e-12), -1e-18, -0.5]])
    assert cauchy(logp, truncation=0.01)[0] == pytest.approx(np.log(3e-12), abs=1e-6)
    assert cauchy(logp)[0] > -0.1


def test_p_near_one_still_tell_genes_apart() -> None:
    logp = -np.geomspace(1e-30, 1e-3, 50)[:, None] * np.ones(3)
    assert (np.diff(cauchy(logp)) < 0).all()
    assert (cauchy(np.zeros((1, 3))) <= 0).all()


def test_missing_kernels_are_left_out() -> None:
    logp = np.log([[0.2, 0.01, np.nan]])
    np.testing.assert_allclose(cauchy(logp), cauchy(logp[:, :2]))


def test_adjusted_p_are_those_of_benjamini_and_hochberg() -> None:
    p = np.sort(np.random.default_rng(1).uniform(size=300) ** 4)
    np.testing.assert_allclose(np.exp(benjamini_hochberg(np.log(p))), false_discovery_control(p), rtol=1e-12)
    assert benjamini_hochberg(np.zeros(0)).shape == (0,)


def table(log10p: np.ndarray, **options: float) -> dict[str, np.ndarray]:
    tested = ~np.isnan(log10p).all(axis=1)
    return combine(log10p, np.arange(len(log10p)), tested, ["SE", "PER"], [3.0, 7.0], **options)


def test_genes_are_ranked_selected_and_given_their_kernel() -> None:
    result = table(np.array([[-0.2, -0.1], [-400.0, -1.0], [np.nan, np.nan], [-3.0, -9.0]]), n_svg=1)
    np.testing.assert_array_equal(result["rank"], [3, 1, np.nan, 2])
    np.testing.assert_array_equal(result["svg"], [False, True, False, False])
    np.testing.assert_array_equal(result["lengthscale"], [3, 3, np.nan, 7])
    np.testing.assert_array_equal(result["kernel"], ["SE", "SE", "", "PER"])
    assert result["pval"][1] == 0.0
    assert result["log10p"][1] == pytest.approx(-400 + np.log10(2.0))
    assert np.isnan(result["padj"][2])


def test_the_false_discovery_rate_bounds_the_selection() -> None:
    log10p = np.array([[-10.0, -10.0], [-4.0, -4.0], [-0.1, -0.1]])
    np.testing.assert_array_equal(table(log10p)["svg"], [True, True, False])
    np.testing.assert_array_equal(table(log10p, fdr=1e-6)["svg"], [True, False, False])


def test_equal_p_are_ranked_by_counts() -> None:
    result = table(np.full((4, 2), -2.0))
    np.testing.assert_array_equal(result["rank"], [4, 3, 2, 1])

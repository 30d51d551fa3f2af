from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammaincc

from spatialrun.methods.spatialde.gamma import log_upper_gamma


@pytest.mark.parametrize("a", [0.01, 0.5, 3.0, 250.0])
def test_agrees_with_scipy_where_scipy_has_digits(a: float) -> None:
    for x in a * np.geomspace(0.01, 3.0, 30):
        assert log_upper_gamma(a, x) == pytest.approx(np.log(gammaincc(a, x)), rel=1e-10, abs=1e-15)


def test_is_finite_where_the_probability_underflows() -> None:
    assert log_upper_gamma(1.0, 5000.0) == pytest.approx(-5000.0, rel=1e-14)
    assert log_upper_gamma(2.0, 1e7) == pytest.approx(np.log1p(1e7) - 1e7, rel=1e-14)


def test_is_zero_at_and_below_the_start() -> None:
    assert log_upper_gamma(2.0, 0.0) == 0.0
    assert log_upper_gamma(2.0, -1.0) == 0.0

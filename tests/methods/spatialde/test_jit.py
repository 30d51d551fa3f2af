from __future__ import annotations

from typing import Any

import numba
import pytest

from spatialrun.methods.spatialde.jit import kernel


def test_a_kernel_compiles_where_no_cache_folder_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    njit = numba.njit

    def without_locator(function: Any, **options: Any) -> Any:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(function, **options)

    monkeypatch.setattr(numba, "njit", without_locator)
    assert kernel(lambda x: 2.0 * x)(1.5) == 3.0

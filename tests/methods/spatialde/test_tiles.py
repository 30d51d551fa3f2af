from __future__ import annotations

import numpy as np

from spatialrun.methods.spatialde.score_kernels import tile_forms
from spatialrun.methods.spatialde.tiles import compressed, tiled


def test_compressed_features_have_the_products_of_all() -> None:
    rng = np.random.default_rng(0)
    F = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 30))
    found, centred = compressed(F), F - F.mean(axis=0)
    assert found.shape == (60, 5)
    np.testing.assert_allclose(found @ found.T, centred @ centred.T, atol=1e-7)


def test_forms_of_tiles_are_squares_by_kernel_and_single_columns() -> None:
    rng = np.random.default_rng(0)
    first, second, single, psi = (rng.normal(size=(20, n)) for n in (70, 3, 4, 2))
    made = tiled({0: first, 2: second}, psi, [single[:, :3], single[:, 3:]])
    v = rng.normal(size=20)
    column = np.array([0, 20]), np.arange(20), v
    Q, alone = tile_forms(*column, made["features"], made["tile_kernel"], 3, np.array([0]))
    expected = [0.5 * np.square(F.T @ v).sum() for F in (first, np.zeros((20, 1)), second)]
    np.testing.assert_allclose(Q[0], expected, rtol=1e-12)
    np.testing.assert_allclose(alone[0], single.T @ v, rtol=1e-12)

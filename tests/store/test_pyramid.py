import numpy as np
import pytest
import xarray as xr

from spatialrun.store import pyramid
from spatialrun.store.digests import value_digest


def image(shape: tuple[int, ...], dtype: str = "uint8") -> xr.DataArray:
    pixels = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)
    names = ["r", "g", "b"][: shape[0]]
    return xr.DataArray(pixels, dims=("c", "y", "x"), coords={"c": names}, attrs={"scalef": 0.5})


@pytest.fixture
def stored(store):
    def write(value):
        attempt = store.attempt("run")
        ref = attempt.write("images/hires", value)
        attempt.verify()
        return store.element(ref)

    return write


def test_levels_end_at_about_a_thousand_pixels():
    assert pyramid.sizes(300, 1024) == [(300, 1024)]
    assert pyramid.sizes(3001, 2000) == [(3001, 2000), (1501, 1000), (751, 500)]
    assert pyramid.sizes(20_000, 20_000)[-1] == (625, 625)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_a_level_is_the_mean_of_the_one_before(dtype):
    pixels = image((2, 5, 6), dtype).to_numpy()
    half = pyramid.halve(pixels)
    assert half.shape == (2, 3, 3)
    assert half.dtype == dtype
    wide = pixels.astype(float)
    tolerance = 0.5 if dtype != "float32" else 1e-4
    np.testing.assert_allclose(half[:, 1, 2], wide[:, 2:4, 4:6].mean(axis=(1, 2)), atol=tolerance)
    np.testing.assert_allclose(half[:, 2, 0], wide[:, 4, 0:2].mean(axis=1), atol=tolerance)


def test_white_stays_white():
    assert (pyramid.halve(np.full((3, 7, 7), 255, np.uint8)) == 255).all()


def test_an_image_in_levels(stored):
    whole = image((3, 2500, 4500))
    element = stored(whole)
    found = element.read()
    np.testing.assert_array_equal(found.to_numpy(), whole.to_numpy())
    assert found.attrs == whole.attrs
    assert element.ref.digest == value_digest(whole)
    half = pyramid.halve(whole.to_numpy())
    expected = {5000: whole.to_numpy(), 2251: whole.to_numpy(), 2250: half, 1200: half}
    for least, pixels in expected.items():
        level = element.level(least)
        np.testing.assert_array_equal(level.to_numpy(), pixels)
        assert level.attrs["scalef"] == pytest.approx(0.5 * pixels.shape[2] / 4500)
        assert list(level.coords["c"].to_numpy()) == ["r", "g", "b"]
    assert element.level(10).shape == (3, 313, 563)
    quarter = pyramid.halve(half)
    np.testing.assert_array_equal(element.level(1100).to_numpy(), quarter)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 40, 60), (1, 512, 512), (3, 513, 100), (3, 0, 0)])
def test_small_images_have_one_level(stored, shape):
    value = image(shape)
    element = stored(value)
    np.testing.assert_array_equal(element.read().to_numpy(), value.to_numpy())
    if value.size:
        np.testing.assert_array_equal(element.level(10).to_numpy(), value.to_numpy())


def test_stripes_do_not_change_the_levels(stored, monkeypatch):
    value = image((3, 1500, 1100))
    one = stored(value).level(600)
    monkeypatch.setattr(pyramid, "SHARD_TILES", 1)
    np.testing.assert_array_equal(stored(value).level(600).to_numpy(), one.to_numpy())

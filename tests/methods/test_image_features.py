from __future__ import annotations

import numpy as np
import pytest
import torch

from spatialrun.errors import DataError
from spatialrun.methods.image_features.encoders import encode, load, prepared
from spatialrun.methods.image_features.texture import texture
from spatialrun.methods.image_features.tiles import leading, tiles

PLACES = np.array([[100.0, 50.0], [10.0, 10.0], [190.0, 90.0]])
"""x, y: the image is wider than high."""


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (3, 100, 200), dtype=np.uint8)


@pytest.fixture
def cut(image):
    return tiles(image, PLACES, 1.0, 20)


class Small(torch.nn.Module):
    """Two features of each colour's plane."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)


def test_rows_are_y_and_windows_lie_around_their_spots(image, cut) -> None:
    ((first, windows),) = cut.batches(8)
    assert (first, windows.shape) == (0, (3, 20, 20, 3))
    np.testing.assert_array_equal(windows[0], np.moveaxis(image[:, 40:60, 90:110], 0, -1))


def test_at_the_edge_the_outermost_pixels_go_on(image) -> None:
    windows = tiles(image, np.array([[2.0, 3.0]]), 1.0, 10).windows(image[0], 0, 1)
    np.testing.assert_array_equal(windows[0, 2:, 3:], image[0, 0:8, 0:7])
    assert (windows[0, :2, :3] == image[0, 0, 0]).all()


def test_floats_of_0_to_1_are_the_same_image(image, cut) -> None:
    np.testing.assert_array_equal(tiles(image / 255.0, PLACES, 1.0, 20).image, cut.image)


@pytest.mark.parametrize(
    ("shape", "places", "scale", "side", "said"),
    [
        ((100, 200), PLACES, 1.0, 20, "(3, rows, columns) is needed"),
        ((4, 100, 200), PLACES, 1.0, 20, "(3, rows, columns) is needed"),
        ((3, 100, 200), PLACES, 0.1, 20, "too few"),
        ((3, 100, 200), PLACES[:, ::-1], 1.0, 20, "2 of 3 spots lie outside of the image"),
        ((3, 100, 200), PLACES * np.nan, 1.0, 20, "NaN or infinite"),
    ],
)
def test_images_that_do_not_fit(shape, places, scale, side, said) -> None:
    with pytest.raises(DataError) as raised:
        tiles(np.zeros(shape, np.uint8), places, scale, side)
    assert said in str(raised.value)


def test_texture_tells_stains_and_grain_apart() -> None:
    rng = np.random.default_rng(0)
    image = np.empty((3, 40, 160), np.uint8)
    image[:, :, :80] = np.array([100, 60, 150])[:, None, None]
    image[:, :, 80:] = np.array([220, 130, 180])[:, None, None]
    grain = rng.integers(-40, 40, (40, 40))
    image[:, :, 40:80] = np.clip(image[:, :, 40:80] + grain, 0, 255)
    places = np.array([[x, y] for x in (15, 25, 55, 65, 95, 105) for y in (15.0, 25.0)])
    features = texture(tiles(image, places, 1.0, 10))
    assert np.isfinite(features).all()
    group = np.repeat([0, 1, 2], 4)
    centres = np.stack([features[group == k].mean(axis=0) for k in range(3)])
    apart = ((features[:, None] - centres) ** 2).sum(axis=2)
    np.testing.assert_array_equal(apart.argmin(axis=1), group)


def test_texture_of_one_colour_is_zero() -> None:
    assert not texture(tiles(np.full((3, 50, 50), 200, np.uint8), PLACES[1:2], 1.0, 10)).any()


@pytest.mark.parametrize("ending", [".pt", ".pt2"])
def test_an_encoder_from_a_file_gives_what_it_gives_by_hand(cut, tmp_path, ending) -> None:
    path = tmp_path / f"encoder{ending}"
    example = torch.zeros(2, 3, 32, 32)
    if ending == ".pt":
        torch.jit.trace(Small(), example).save(str(path))
    else:
        batch = torch.export.Dim("batch", min=1, max=64)
        torch.export.save(torch.export.export(Small(), (example,), dynamic_shapes=({0: batch},)), path)
    found = encode(cut, load(path), input_size=32, batch_size=2)
    windows = cut.windows(cut.image, 0, 3)
    np.testing.assert_allclose(found, Small()(torch.from_numpy(prepared(windows, 32))).numpy(), rtol=1e-6)


def test_colours_are_standardised_as_imagenets() -> None:
    grey = np.full((1, 10, 10, 3), 255, np.uint8)
    np.testing.assert_allclose(
        prepared(grey, 8)[0, :, 0, 0],
        (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225],
        rtol=1e-5,
    )


def test_a_file_that_is_no_network(tmp_path) -> None:
    path = tmp_path / "encoder.pt"
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="cannot be read as a network") as raised:
        load(path)
    assert raised.value.code == "data.bad-file"


@pytest.mark.parametrize(
    ("made", "said"),
    [(lambda x: x[:1], "one row for each"), (lambda x: x.mean(axis=(2, 3)) * np.nan, "NaN or infinite")],
)
def test_what_an_encoder_must_return(cut, made, said) -> None:
    with pytest.raises(DataError, match=said):
        encode(cut, made, input_size=16)


def test_components_that_vary_most() -> None:
    features = np.random.default_rng(0).normal(size=(30, 5)) * [10, 1, 1, 1, 1]
    found = leading(features, 2)
    assert found.shape == (30, 2)
    assert abs(np.corrcoef(found[:, 0], features[:, 0])[0, 1]) > 0.99
    assert leading(features[:3], 50).shape == (3, 3)

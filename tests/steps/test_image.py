from __future__ import annotations

import numpy as np
import pytest
import torch
from memory import Section
from pydantic import ValidationError

from spatialrun.errors import DataError
from spatialrun.methods.image_features.encoders import prepared
from spatialrun.methods.image_features.tiles import tiles
from spatialrun.steps import catalogue


class Means(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3))


def test_texture_needs_no_weights_and_says_so(section: Section) -> None:
    context = section.run(catalogue.get("embed.image"), tile_size=120, n_components=10)
    assert section.slots["obsm/image.texture"].shape == (96, 10)
    assert any("texture" in line and "no network" in line for line in context.logs)


def test_a_torchscript_encoder_gives_what_it_gives_by_hand(section: Section) -> None:
    torch.jit.trace(Means(), torch.zeros(1, 3, 16, 16)).save(str(section.root / "means.pt"))
    section.run(
        catalogue.get("embed.image"),
        encoder="file",
        weights="means.pt",
        input_size=16,
        tile_size=120,
        n_components=3,
    )
    cut = tiles(section.slots["images/hires"].to_numpy(), section.slots["obsm/spatial"], 0.1, 120)
    with torch.no_grad():
        wanted = Means()(torch.from_numpy(prepared(cut.windows(cut.image, 0, len(cut)), 16))).numpy()
    found = section.slots["obsm/image.file"]
    assert found.shape == wanted.shape
    # The step turns features to their components: distances between spots stay.
    apart = [((own[:, None] - own) ** 2).sum(axis=2) for own in (found, wanted)]
    np.testing.assert_allclose(*apart, atol=1e-5)


def test_missing_weights_are_said_before_anything_runs(section: Section, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    step = catalogue.get("embed.image")
    with pytest.raises(DataError) as raised:
        step.externals(step.Params(encoder="resnet50"), section.site(step))
    said = str(raised.value)
    assert raised.value.code == "data.missing-file"
    assert "resnet50-11ad3fa6.pth" in said
    assert "https://download.pytorch.org/models/resnet50-11ad3fa6.pth" in said
    assert str(tmp_path / "torch" / "hub" / "checkpoints") in said
    with pytest.raises(DataError, match="does not exist"):
        step.externals(step.Params(encoder="file", weights="gone.onnx"), section.site(step))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"encoder": "file"}, "needs `weights`"),
        ({"encoder": "file", "weights": "network.bin"}, "ends in .pt"),
        ({"weights": "network.pt"}, "texture has none"),
        ({"tile_size": 0}, "tile_size"),
    ],
)
def test_parameters_that_do_not_fit(given, said) -> None:
    with pytest.raises(ValidationError, match=said):
        catalogue.get("embed.image").Params(**given)


def test_a_sample_that_does_not_say_how_wide_a_spot_is(section: Section) -> None:
    section.slots["uns/spatial"] = {"scalefactors": {}}
    with pytest.raises(DataError, match="how wide a spot is"):
        section.run(catalogue.get("embed.image"))

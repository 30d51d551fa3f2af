"""Features of the tissue image."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from spatialrun.errors import DataError, Where
from spatialrun.steps.contract import (
    Context,
    Inputs,
    Outputs,
    Parameters,
    Shape,
    Site,
    Step,
    Write,
    parameter,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESNET50 = "resnet50-11ad3fa6.pth"
ENDINGS = (".pt", ".ts", ".pt2", ".onnx")
LIBRARIES = 700_000_000
"""Memory of torch or scikit-image, and of a network."""
TILE_DIAMETERS = 2.0
"""Side of a tile, in diameters of a spot."""


class EmbedImageParams(Parameters):
    image_key: str = parameter("hires", "Image of which tiles are cut.")
    spatial_key: str = parameter("spatial", "Array of obsm with the spots' places.")
    encoder: Literal["texture", "resnet50", "file"] = parameter(
        "texture",
        "Colour and texture statistics (no weights), ResNet-50, or the network in the file `weights`.",
    )
    weights: str | None = parameter(
        None,
        "A TorchScript (.pt, .ts), torch.export (.pt2) or ONNX (.onnx) file; for resnet50 its weights (.pth), "
        "null for those in torch's cache.",
        path=True,
    )
    tile_size: float | None = parameter(
        None, "Side of a tile; null for two diameters of a spot.", unit="full-resolution pixels", gt=0
    )
    input_size: int = parameter(224, "Side of what the network takes.", unit="pixels", ge=8)
    n_components: int = parameter(
        50, "Principal components that are kept of the features.", unit="components", ge=1
    )
    batch_size: int = parameter(32, "Tiles that go through the network at once.", unit="tiles", ge=1)
    key_added: str | None = parameter(
        None, "Array of obsm with the features; null for image.<encoder>.", output_name=True
    )

    @model_validator(mode="after")
    def _weights(self) -> EmbedImageParams:
        if self.encoder == "texture" and self.weights is not None:
            raise ValueError("`weights` are for encoder: resnet50 or file; texture has none")
        if self.encoder == "file" and (self.weights is None or Path(self.weights).suffix not in ENDINGS):
            raise ValueError(f"encoder: file needs `weights`, a file that ends in {', '.join(ENDINGS)}")
        return self


class EmbedImage(Step):
    """Describe the tissue around every spot by features of the image.

    Tiles are cut from the store's image in memory, in batches. Nothing is ever downloaded: ``texture``, the
    default, needs no weights, and where a network's are missing the error says how to get them.
    """

    name = "embed.image"
    resource = "gpu"
    determinism = "seeded"
    distributions = ("scikit-image", "torch", "torchvision")
    Params = EmbedImageParams
    READS = {"image": "images/{image_key}", "spatial": "obsm/{spatial_key}", "about": "uns/spatial"}

    def writes(self, params: EmbedImageParams, site: Site) -> Sequence[Write]:
        return [Write("features", f"obsm/{params.key_added or 'image.' + params.encoder}")]

    def externals(self, params: EmbedImageParams, site: Site) -> Mapping[str, Path]:
        """The network's file, which must be there before anything runs."""
        if params.encoder == "texture":
            return {}
        path = site.base / params.weights if params.weights is not None else _cached(RESNET50)
        if not path.is_file():
            raise _missing(path, params)
        return {"weights": path}

    def memory(self, shape: Shape, params: EmbedImageParams) -> int:
        """The image in a few forms, a batch of tiles, and 2,048 features a spot."""
        tiles = 4 * 3 * 40 * params.batch_size * params.input_size**2
        return LIBRARIES + 300_000_000 + tiles + 3 * 8 * 2048 * shape.n_obs

    def run(self, inputs: Inputs, params: EmbedImageParams, context: Context) -> Outputs:
        from spatialrun.methods.image_features.tiles import leading, tiles

        image = inputs["image"].read()
        cut = tiles(
            image.to_numpy(),
            inputs["spatial"].read(),
            float(image.attrs["scalef"]),
            params.tile_size or TILE_DIAMETERS * _diameter(inputs),
        )
        context.log(f"{len(cut)} tiles of {cut.side} x {cut.side} pixels")
        if params.encoder == "texture":
            from spatialrun.methods.image_features.texture import texture

            context.log("encoder: texture, colour and texture statistics; no network")
            features: NDArray[np.floating[Any]] = texture(cut, context.progress)
        else:
            from spatialrun.methods.image_features.encoders import encode, load, resnet50

            path = inputs.externals["weights"]
            make = resnet50 if params.encoder == "resnet50" else load
            context.log(f"encoder: {path.name}")
            features = encode(
                cut,
                make(path, context.device),
                input_size=params.input_size,
                batch_size=params.batch_size,
                progress=context.progress,
            )
        return {"features": leading(features, params.n_components)}


def _diameter(inputs: Inputs) -> float:
    """Of a spot, in full-resolution pixels."""
    about = inputs["about"].read()
    diameter = about.get("scalefactors", {}).get("spot_diameter_fullres")
    if diameter is None:
        raise DataError(
            "data.image",
            "the sample does not say how wide a spot is",
            where=Where(slot="uns/spatial"),
            hint="give `tile_size`, in full-resolution pixels",
        )
    return float(diameter)


def _cached(name: str) -> Path:
    """Where torch keeps weights that it has downloaded."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TORCH_HOME") or Path(cache) / "torch") / "hub" / "checkpoints" / name


def _missing(path: Path, params: EmbedImageParams) -> DataError:
    if params.weights is not None:
        return DataError(
            "data.missing-file",
            f"the network's file {path} does not exist",
            where=Where(file=str(path)),
            hint="`weights` is relative to the recipe; encoder: texture needs none",
        )
    return DataError(
        "data.missing-file",
        f"ResNet-50's weights {path.name} are not in torch's cache",
        where=Where(file=str(path)),
        hint=f"download https://download.pytorch.org/models/{path.name} to {path}, or give `weights`; nothing is "
        "downloaded unasked; encoder: texture needs none",
    )

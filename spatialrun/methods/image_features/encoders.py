"""Networks that make features of tiles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialrun.errors import DataError, Where
from spatialrun.methods.image_features.tiles import Tiles

Singles = NDArray[np.float32]
Encoder = Callable[[Singles], Singles]
Progress = Callable[[int, int, str], None]

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours, which networks are trained on."""
KINDS = {".pt": "torchscript", ".ts": "torchscript", ".pt2": "exported", ".onnx": "onnx"}
"""How a file's name ends, and what it holds."""


def prepared(windows: NDArray[np.generic], input_size: int) -> Singles:
    """Windows (N, side, side, 3) as a network takes them: (N, 3, size, size), standardised colours."""
    import torch

    x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(windows, -1, 1))).float() / 255.0
    x = torch.nn.functional.interpolate(x, (input_size, input_size), mode="bilinear", antialias=True)
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    standardised: Singles = ((x - mean) / deviation).numpy()
    return standardised


def encode(
    tiles: Tiles,
    encoder: Encoder,
    *,
    input_size: int = 224,
    batch_size: int = 32,
    progress: Progress = lambda *_: None,
) -> Singles:
    """Features (N, F) of every tile: what the encoder returns for it, flattened.

    Parameters
    ----------
    tiles
        The windows.
    encoder
        From `load` or `resnet50`.
    input_size
        Side of what the network takes, in pixels.
    batch_size
        Tiles at a time.
    progress
        Told how many of how many tiles are done.

    Raises
    ------
    DataError
        ``data.values`` when features are not finite, or not one row a tile.
    """
    parts = []
    for start, windows in tiles.batches(batch_size):
        found = np.asarray(encoder(prepared(windows, input_size)), dtype=np.float32)
        if found.ndim < 2 or len(found) != len(windows):
            raise DataError(
                "data.values",
                f"the encoder made {found.shape} of {len(windows)} tiles: one row for each is needed",
            )
        parts.append(found.reshape(len(found), -1))
        progress(start + len(windows), len(tiles), "tiles")
    features = np.concatenate(parts)
    if not np.isfinite(features).all():
        raise DataError("data.values", "the encoder made features that are NaN or infinite")
    return features


def load(path: Path, device: str = "cpu") -> Encoder:
    """An encoder from a TorchScript, torch.export or ONNX file, by how its name ends (`KINDS`).

    Raises
    ------
    DataError
        ``data.bad-file`` when the file cannot be read as what its name says.
    """
    kind = KINDS[path.suffix]
    import torch

    try:
        if kind == "onnx":
            return _onnx(path)
        if kind == "torchscript":
            network = torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]
            return _calls(network.eval(), device)
        return _calls(torch.export.load(str(path)).module().to(device), device)
    except ImportError:
        raise
    except Exception as error:
        raise DataError(
            "data.bad-file",
            f"{path.name} cannot be read as a network ({kind}): {str(error).strip().partition(chr(10))[0]}",
            where=Where(file=str(path)),
        ) from error


def resnet50(weights: Path, device: str = "cpu") -> Encoder:
    """ResNet-50 without its classifier, 2,048 features, with weights in torchvision's format.

    Raises
    ------
    DataError
        ``data.bad-file`` when the file does not hold them.
    """
    import torch
    from torchvision.models import resnet50 as make

    network = make(weights=None)
    try:
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except Exception as error:
        raise DataError(
            "data.bad-file",
            f"{weights.name} does not hold ResNet-50's weights",
            where=Where(file=str(weights)),
        ) from error
    network.fc = torch.nn.Identity()
    return _calls(network.eval().to(device), device)


def _calls(network: Any, device: str) -> Encoder:
    import torch

    def encoder(x: Singles) -> Singles:
        with torch.no_grad():
            found: Singles = network(torch.from_numpy(x).to(device)).cpu().numpy()
        return found

    return encoder


def _onnx(path: Path) -> Encoder:
    from onnxruntime import InferenceSession

    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def encoder(x: Singles) -> Singles:
        found: Singles = session.run(None, {name: x})[0]
        return found

    return encoder

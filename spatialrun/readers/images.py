"""Images of the tissue, decoded into arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spatialrun.errors import DataError, Where

MAX_PIXELS = 100_000_000
"""Largest image that is decoded (300 MB as RGB); Space Ranger's largest have 6,000 x 6,000."""


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode an image as (3, y, x) uint8, RGB; transparent pixels become white.

    Raises
    ------
    DataError
        ``data.image`` when it is missing, damaged, of more than 8 bits a channel, or larger than
        ``max_pixels`` (found from its header, before anything is decoded).
    """
    import warnings

    from PIL import Image, UnidentifiedImageError

    where = Where(file=str(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            image = Image.open(path)
        with image:
            width, height = image.size
            if width * height > max_pixels:
                raise DataError(
                    "data.image",
                    f"{path.name} has {width} x {height} pixels; up to {max_pixels:,} are decoded",
                    where=where,
                    hint="Space Ranger's own images are far smaller: is this the full-resolution one?",
                )
            if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
                raise DataError(
                    "data.image",
                    f"{path.name} has pixels of mode {image.mode}; images of 8 bits a channel are read",
                    where=where,
                )
            if image.has_transparency_data:
                layered = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered)
            pixels = np.asarray(image.convert("RGB"))
    except FileNotFoundError as error:
        raise DataError("data.image", f"there is no image {path.name}", where=where) from error
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise DataError("data.image", f"{path.name} cannot be decoded: {error}", where=where) from error
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))

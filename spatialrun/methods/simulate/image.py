"""A stained section on a white slide, with the tissue where the spots are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spatialrun.methods.simulate.tissue import Tissue

OVERHANG_UM = 55.0
"""How far the tissue reaches beyond the outermost centres: every spot lies on it as a whole."""


EOSIN, HAEMATOXYLIN = np.array([236.0, 178.0, 206.0]), np.array([190.0, 150.0, 200.0])
SPARSEST, DENSEST = 1 / 250, 1 / 120
"""Nuclei per square micrometre."""


@dataclass(frozen=True, eq=False)
class Stain:
    """What the domains look like: tints (D, 3) in RGB, nuclei per square micrometre (D,)."""

    tints: np.ndarray
    nuclei: np.ndarray


def mixed_stain(blend: np.ndarray) -> Stain:
    """From pink with few nuclei (0) to violet with many (1); ``blend`` is (D,)."""
    return Stain(
        EOSIN * (1 - blend[:, None]) + HAEMATOXYLIN * blend[:, None],
        SPARSEST + blend * (DENSEST - SPARSEST),
    )


def draw_image(rng: np.random.Generator, tissue: Tissue, stain: Stain, image_size: int) -> np.ndarray:
    """(3, y, x) uint8: a stained section on a white slide, each domain with its own tint and cell density."""
    frame_um = tissue.outline.frame_um
    scale = image_size / frame_um.max()
    width, height = np.maximum(1, np.round(frame_um * scale)).astype(int)
    y, x = np.mgrid[0:height, 0:width]
    um = (np.stack([x, y], axis=-1) + 0.5) / scale
    inside = tissue.outline.contains(um, OVERHANG_UM)
    domain = np.zeros((height, width), dtype=np.int32)
    domain[inside] = tissue.domain(um[inside]) - 1

    # Never as bright as the slide: what is tissue can be told from its brightness.
    cloud = np.clip(_shade(rng, height, width), -2, 2)
    image = np.where(inside[..., None], stain.tints[domain] + 9 * cloud[..., None], 243.0)
    image += rng.normal(0, 2, (height, width, 1))

    # Nuclei are 7 micrometres wide.
    pixel_um = 1 / scale
    density = np.where(inside, stain.nuclei[domain], 0) * pixel_um**2
    if pixel_um < 7:
        nuclei_y, nuclei_x = np.nonzero(rng.random((height, width)) < density)
        reach = max(1, round(3.5 / pixel_um))
        darkness = rng.uniform(0.45, 0.8, len(nuclei_y))[:, None]
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                if dx * dx + dy * dy <= reach * reach:
                    at = np.clip(nuclei_y + dy, 0, height - 1), np.clip(nuclei_x + dx, 0, width - 1)
                    image[at] = np.array([150.0, 95.0, 165.0]) * darkness + 60
    return np.ascontiguousarray(np.clip(np.round(image), 0, 255).astype(np.uint8).transpose(2, 0, 1))


def _shade(rng: np.random.Generator, height: int, width: int, cells: int = 24) -> np.ndarray:
    """(height, width): smooth noise of unit variance, interpolated from a coarse grid."""
    grid = rng.standard_normal((cells, cells))
    rows, columns = np.linspace(0, cells - 1, height), np.linspace(0, cells - 1, width)
    across = np.array([np.interp(columns, np.arange(cells), line) for line in grid])
    low = np.minimum(rows.astype(int), cells - 2)
    part = (rows - low)[:, None]
    shade: np.ndarray = across[low] * (1 - part) + across[low + 1] * part
    return shade


def shrink(image: np.ndarray, factor: float) -> np.ndarray:
    """(c, y, x) reduced by averaging the pixels that fall into each new one."""
    if factor >= 1:
        return image
    edges = [
        np.linspace(0, size, max(1, round(size * factor)), endpoint=False).astype(int)
        for size in image.shape[1:]
    ]
    sums = np.add.reduceat(np.add.reduceat(image.astype(float), edges[0], axis=1), edges[1], axis=2)
    areas = np.multiply.outer(
        *(np.diff(starts, append=size) for starts, size in zip(edges, image.shape[1:], strict=True))
    )
    return np.round(sums / areas).astype(np.uint8)

"""What slots hold in memory.

numpy arrays (numbers, booleans, strings), pandas categoricals and data frames, scipy sparse matrices, xarray
images (dimensions c, y, x; channel names on c; ``scalef`` among the attributes: image pixels per full-resolution
pixel), nested mappings of these with plain scalars, and :class:`FileBytes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Value = Any


@dataclass(frozen=True)
class FileBytes:
    """A small file as a value, such as a figure; ``suffix`` with its dot (``.png``)."""

    content: bytes
    suffix: str

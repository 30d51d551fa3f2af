"""The figures of a run, small enough to stand in the page all together."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass

from spatialrun.slots import COHORT, group_of, name_of
from spatialrun.store.elements import ObjectRef
from spatialrun.store.runs import Run
from spatialrun.store.store import Store

BUDGET = 12_000_000
"""Bytes that all figures may take together."""
LARGEST_EDGE = 1600
SMALLEST_EDGE = 400
QUALITY = 82


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes
    ----------
    name, sample
        Its name in the recipe, and what it shows; a sample or ``_cohort``.
    file
        The figure itself, beside the page.
    data
        A ``data:`` URL to show; empty where a browser cannot show it in a page (PDF), or where it is too large.
    """

    name: str
    sample: str
    file: str
    data: str


def figures_of(store: Store, run: Run) -> tuple[Figure, ...]:
    """Return a run's figures, those of one name beside each other."""
    found = sorted(_refs(run), key=lambda each: each[0])
    share = BUDGET // max(1, len(found))
    return tuple(
        Figure(name, sample, f"figures/{sample}/{name}{ref.meta['suffix']}", _data(store, ref, share))
        for _, name, sample, ref in found
    )


def _refs(run: Run) -> Iterator[tuple[int, str, str, ObjectRef]]:
    order: dict[str, int] = {}
    for sample in (*run.samples, COHORT):
        for slot, ref in run.slots(sample).items():
            if group_of(slot) == "figures":
                yield order.setdefault(slot, len(order)), name_of(slot), sample, ref


def _data(store: Store, ref: ObjectRef, share: int) -> str:
    suffix = ref.meta["suffix"]
    if suffix not in (".png", ".svg"):
        return ""
    content = store.backend.get(ref.path) or b""
    if suffix == ".svg":
        return _url("image/svg+xml", content) if len(content) <= share else ""
    return _url("image/webp", _reduced(content, share)) if content else ""


def _reduced(png: bytes, share: int) -> bytes:
    """Return a picture in fewer bytes: no larger than a screen shows, and smaller until it fits."""
    from PIL.PngImagePlugin import PngImageFile

    # Not Image.open, which refuses pictures that are as large as a poster's: ours are no bombs.
    with PngImageFile(io.BytesIO(png)) as image:
        image.load()
        edge = LARGEST_EDGE
        while True:
            small = image.convert("RGB")
            small.thumbnail((edge, edge))
            written = io.BytesIO()
            small.save(written, "WEBP", quality=QUALITY, method=2)
            if written.tell() <= share or edge <= SMALLEST_EDGE:
                return written.getvalue()
            edge = edge * 3 // 4


def _url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"

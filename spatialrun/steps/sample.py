"""A sample's slots as AnnData: what exports write, and what a step called on an AnnData reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spatialrun.slots import group_of, name_of
from spatialrun.steps.contract import Inputs, Read, Site

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

NOT_IN_ANNDATA = ("figures", "files", "exports")
"""Groups of slots that AnnData has no place for."""


def sample_reads(site: Site, x: str | None) -> list[Read]:
    """Everything of a sample that AnnData has a place for, and the layer that becomes X."""
    slots = {"axes/obs", "axes/var", f"layers/{x}" if x else "layers/counts"}
    slots |= {slot for slot in site.declared if group_of(slot) not in NOT_IN_ANNDATA}
    return [Read(slot, slot) for slot in sorted(slots)]


def layer_of_x(inputs: Inputs, x: str | None) -> str:
    """The layer that becomes X: as asked for, else lognorm where there is one, else counts."""
    return x or ("lognorm" if "layers/lognorm" in inputs else "counts")


def to_anndata(inputs: Inputs, x: str | None, library: str) -> AnnData:
    """Read a whole sample; X is not repeated among the layers, images are where scanpy looks for them."""
    import anndata

    by_group: dict[str, dict[str, Any]] = {}
    for slot in inputs:
        by_group.setdefault(group_of(slot), {})[name_of(slot)] = slot
    layers = by_group.pop("layers", {})
    matrix = inputs[layers.pop(layer_of_x(inputs, x))].read()
    values = {
        group: {name: inputs[slot].read() for name, slot in slots.items()}
        for group, slots in by_group.items()
    }
    uns = values.get("uns", {}) | {
        "spatial": {library: _library(values.get("uns", {}), values.get("images", {}))}
    }
    return anndata.AnnData(
        X=matrix,
        obs=frame(inputs, "obs"),
        var=frame(inputs, "var"),
        layers={name: inputs[slot].read() for name, slot in layers.items()},
        uns={name: _text_index(value) for name, value in uns.items()},
        **{group: values.get(group, {}) for group in ("obsm", "varm", "obsp", "varp")},
    )


def frame(inputs: Inputs, axis: str) -> pd.DataFrame:
    """The columns of an axis as a data frame, indexed by its names."""
    import pandas as pd

    names = inputs["names" if "names" in inputs else f"axes/{axis}"].read()
    columns = {
        name_of(slot): inputs[slot].read() for slot in inputs if group_of(slot) == axis and "/" in slot
    }
    return pd.DataFrame(columns, index=pd.Index(names, dtype=object))


def _library(uns: Mapping[str, Any], images: Mapping[str, Any]) -> dict[str, Any]:
    """A section as scanpy keeps it: images are (y, x, c)."""
    import numpy as np

    about = dict(uns.get("spatial", {}))
    pixels = {name: np.ascontiguousarray(image.transpose("y", "x", "c")) for name, image in images.items()}
    return {"images": pixels, "scalefactors": {}, "metadata": {}} | about


def _text_index(value: Any) -> Any:
    """AnnData keeps tables only with text as their index."""
    import pandas as pd

    return value.set_axis(value.index.astype(str), axis=0) if isinstance(value, pd.DataFrame) else value

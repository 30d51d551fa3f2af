"""An AnnData in memory as slots: read in the forms that the store would give, written to in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialrun.errors import DataError, UsageError, Where
from spatialrun.slots import group_of, name_of
from spatialrun.steps.contract import Parameters, Read, Site, Step
from spatialrun.values import ColumnStream

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData
    from scipy.sparse import csc_matrix

OUTSIDE = ("files", "exports", "axes", "images")
"""Groups of slots that a step on an AnnData cannot write."""
RGB = ("r", "g", "b", "a")
TABLES = ("obs", "var")
ARRAYS = ("layers", "obsm", "varm", "obsp", "varp", "uns")


@dataclass
class Held:
    """A value in memory as an element: :class:`spatialrun.steps.contract.Element`."""

    load: Callable[[], Any]

    @cached_property
    def value(self) -> Any:
        """The value, converted when it is first asked for."""
        return self.load()

    @property
    def meta(self) -> Mapping[str, Any]:
        """Shape, type and number of entries."""
        value = self.value
        names = ("shape", "dtype", "nnz", "format")
        found = {name: getattr(value, name) for name in names if hasattr(value, name)}
        return found | ({"shape": list(found["shape"])} if "shape" in found else {})

    @property
    def path(self) -> Path:
        """There is none: nothing lies in a file."""
        raise TypeError("a value in memory has no path")

    def read(self) -> Any:
        """Return the value."""
        return self.value

    def columns(self, start: int, stop: int) -> csc_matrix:
        """Return columns of a matrix."""
        return self.value[:, start:stop]

    def level(self, least: float) -> Any:
        """Return an image, at the one level that it has."""
        del least
        return self.value

    def stream(self) -> ColumnStream:
        """Return a matrix as a stream of its columns."""
        return ColumnStream.of(self.value)


@dataclass
class HeldInputs(Mapping[str, Held]):
    """Inputs by port: :class:`spatialrun.steps.contract.Inputs`."""

    values_by_port: dict[str, Held]
    externals: Mapping[str, Path] = field(default_factory=dict)
    source: Path | None = None

    def __getitem__(self, port: str) -> Held:
        return self.values_by_port[port]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_port)

    def __len__(self) -> int:
        return len(self.values_by_port)


class Slots(Mapping[str, Held]):
    """An AnnData's content by slot, in the forms in which the store would give it.

    Parameters
    ----------
    adata
        The AnnData. ``layers/X`` is its X.
    library
        Which entry of ``uns["spatial"]`` has the images and scale factors; needed where there are several.
    """

    def __init__(self, adata: AnnData, library: str | None = None) -> None:
        import numpy as np

        self._slots: dict[str, Callable[[], Any]] = {
            "axes/obs": lambda: np.asarray(adata.obs_names, dtype=object),
            "axes/var": lambda: np.asarray(adata.var_names, dtype=object),
        }
        for table in TABLES:
            frame = getattr(adata, table)
            for name in frame:
                self._slots[f"{table}/{name}"] = partial(_column, frame[name])
        for group in ARRAYS:
            for name, value in getattr(adata, group).items():
                if (group, name) != ("uns", "spatial"):
                    self._slots[f"{group}/{name}"] = partial(_array, value, group)
        if adata.X is not None:
            self._slots["layers/X"] = partial(_array, adata.X, "layers")
        self._add_library(adata, library)

    def __getitem__(self, slot: str) -> Held:
        return Held(self._slots[slot])

    def __iter__(self) -> Iterator[str]:
        return iter(self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    def inputs(self, step: Step, params: Parameters, site: Site) -> HeldInputs:
        """Gather what a step reads.

        Raises
        ------
        DataError
            ``data.values`` where the AnnData lacks something, with the nearest name.
        """
        reads = step.reads(params, site)
        for read in reads:
            if read.slot not in self and not read.optional:
                raise self._lacks(step, read)
        found = {read.port: self[read.slot] for read in reads if read.slot in self}
        return HeldInputs(found, step.externals(params, site))

    def _lacks(self, step: Step, read: Read) -> DataError:
        group = group_of(read.slot)
        there = [name_of(slot) for slot in self if group_of(slot) == group]
        near = get_close_matches(name_of(read.slot), there, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"{group} has: {', '.join(there) or 'nothing'}"
        if group == "layers" and "layers/X" in self:
            hint += "; layer='X' takes adata.X"
        return DataError(
            "data.values", f"{step.name} needs {read.slot}, which the AnnData lacks",
            where=Where(slot=read.slot), hint=hint,
        )  # fmt: skip

    def _add_library(self, adata: AnnData, library: str | None) -> None:
        libraries = adata.uns.get("spatial") or {}
        if not isinstance(libraries, Mapping) or not libraries:
            return
        if library is None and len(libraries) > 1:
            return  # a step that needs it says that it is lacking
        name = library if library is not None else next(iter(libraries))
        if name not in libraries:
            hint = f"uns['spatial'] has: {', '.join(map(str, libraries))}"
            raise UsageError("usage", f"uns['spatial'] has no library {name!r}", hint=hint)
        found = libraries[name]
        scalefactors = dict(found.get("scalefactors", {}))
        about = {"scalefactors": scalefactors, "metadata": dict(found.get("metadata", {}))}
        self._slots["uns/spatial"] = lambda: about
        for key, pixels in found.get("images", {}).items():
            scalef = scalefactors.get(f"tissue_{key}_scalef", 1.0)
            self._slots[f"images/{key}"] = partial(_image, pixels, scalef)


def held(values: Mapping[str, Any]) -> dict[str, Held]:
    """Values in memory as elements, by the same names."""
    return {name: Held(partial(_whole, value)) for name, value in values.items()}


def _whole(value: Any) -> Any:
    """A stream of columns as the matrix that it is."""
    return value.tocsc() if isinstance(value, ColumnStream) else value


def write(adata: AnnData, slot: str, value: Any) -> None:
    """Put a value where the slot lies in an AnnData.

    Raises
    ------
    UsageError
        ``usage`` for slots that have no place there.
    """
    group, name = group_of(slot), name_of(slot)
    if group in OUTSIDE or slot == "uns/spatial":
        raise UsageError("usage", f"{slot} has no place in an AnnData", hint="apply a recipe")
    getattr(adata, group)[name] = _whole(value)


def _column(column: Any) -> Any:
    """A column of obs or var as the store holds it."""
    import numpy as np
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.array
    return column.to_numpy(dtype=object) if pd.api.types.is_string_dtype(column) else np.asarray(column)


def _array(value: Any, group: str) -> Any:
    """A value of a group: layers as CSC, others as they are, without labels of pandas."""
    import pandas as pd
    from scipy.sparse import csc_matrix, issparse

    if group == "layers":
        matrix = csc_matrix(value)
        return matrix if matrix.has_sorted_indices else matrix.sorted_indices()
    if group != "uns" and isinstance(value, pd.DataFrame):
        return value.to_numpy()
    return value.tocsr() if group in ("obsp", "varp") and issparse(value) else value


def _image(pixels: np.ndarray, scalef: float) -> Any:
    """An image (y, x, c) as the store holds it; scanpy reads pixels as shares of white."""
    import numpy as np
    import xarray as xr

    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.dtype.kind == "f":
        pixels = np.round(255 * pixels).clip(0, 255).astype(np.uint8)
    n = pixels.shape[2]
    channels = list(RGB[:n]) if n in (3, 4) else [str(number) for number in range(n)]
    return xr.DataArray(
        np.ascontiguousarray(pixels.transpose(2, 0, 1)),
        dims=("c", "y", "x"),
        coords={"c": channels},
        attrs={"scalef": float(scalef)},
    )

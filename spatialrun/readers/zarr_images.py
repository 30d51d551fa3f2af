"""The images of a SpatialData store: which are a table's, what they are called, how they lie under its spots."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spatialrun.readers import coordinate_systems
from spatialrun.readers.coordinate_systems import UnplacedError

if TYPE_CHECKING:
    import numpy as np
    import zarr

    from spatialrun.readers.coordinate_systems import Systems

_AXES = ("c", "y", "x")
_KIND = re.compile(r"(?:.*_)?(full|hires|lowres)(?:_image)?\Z")


@dataclass(frozen=True)
class Owned:
    """What of a store's images is a table's.

    Attributes
    ----------
    images
        Name of an image, as the sample has it, to its path within the store.
    region
        Path of the shapes that are the table's spots; ``None`` where there are none, or several.
    strays
        Paths of images of which nothing tells to which table they belong.
    """

    images: Mapping[str, str]
    region: str | None
    strays: tuple[str, ...] = ()


def owned(group: zarr.Group, table: str, tables: Mapping[str, str]) -> Owned:
    """Find a table's images: those named for it, or for the data set or the shapes that it is about.

    An image that is named for no table belongs to those whose shapes share a coordinate system with it. Of a
    single table are all images.

    Parameters
    ----------
    group
        The store.
    table
        The table's name.
    tables
        Names and paths of all tables.
    """
    stored = sorted(map(str, group["images"])) if "images" in group else []
    regions = {name: _regions(group[path]) for name, path in tables.items()}
    shapes = {name: _shapes(group, regions[name]) for name in tables}
    mine, strays = stored, []
    if len(tables) > 1:
        mine = []
        spots = {name: _systems(group[path]) for name, path in shapes.items() if path is not None}
        for image in stored:
            owners = _named(image, regions) or _beside(group[f"images/{image}"], spots)
            if table in owners:
                mine.append(image)
            elif not owners:
                strays.append(f"images/{image}")
    names = _names(mine, _prefixes(table, regions[table]))
    images = {name: f"images/{image}" for name, image in names.items()}
    return Owned(images, shapes[table], tuple(strays))


@dataclass(frozen=True, eq=False)
class Placed:
    """A level of an OME-NGFF image, and its pixels per unit of the spots' coordinates."""

    array: Any
    scalef: float

    def read(self) -> np.ndarray:
        """(3, y, x) uint8."""
        import numpy as np

        return np.ascontiguousarray(self.array[:3])


def placed(
    group: zarr.Group, images: Mapping[str, str], region: str | None, known: Mapping[str, float]
) -> tuple[dict[str, Placed], list[str]]:
    """Choose of each image the finest level that is not too large, and find how it lies under the spots.

    Parameters
    ----------
    group
        The store.
    images, region
        As `Owned` has them.
    known
        Scale factors that the table tells (``tissue_hires_scalef``): they go before those of transformations.

    Returns
    -------
    tuple
        The images by their names, and a line on each one that is left out.
    """
    spots = None if region is None else _systems(group[region])
    systems = {name: _image_systems(group[path]) for name, path in images.items()}
    found: dict[str, Placed] = {}
    left_out = []
    for name, path in images.items():
        try:
            level, finest = _level(group[path])
            scalef = known.get(f"tissue_{name}_scalef")
            # Only with shapes is it certain which transformation counts, where a scale factor tells otherwise.
            if not scalef or (spots is not None and set(spots) & set(systems[name])):
                system = coordinate_systems.shared(spots, systems[name], filter(None, systems.values()))
                size = finest.shape[1], finest.shape[2]
                by_systems = coordinate_systems.pixels_per_unit(spots, systems[name], system, size)
                scalef = scalef or by_systems
        except UnplacedError as why:
            left_out.append(f"{path} is left out: {why}")
        else:
            # A coarser level of the image has fewer pixels than the scale factor tells of.
            found[name] = Placed(level, scalef * level.shape[2] / finest.shape[2])
    return found, left_out


def _level(group: zarr.Group) -> tuple[Any, Any]:
    """The finest level that can be read, and the finest of all."""
    from spatialrun.readers.images import MAX_PIXELS

    scales = _scales(group)
    levels = [group[level["path"]] for level in scales.get("datasets", [])]
    if not levels or _axes(scales) != _AXES or levels[0].shape[0] < 3 or levels[0].dtype != "uint8":
        raise UnplacedError("it is no image of 8 bits in red, green and blue")
    fitting = [level for level in levels if level.shape[1] * level.shape[2] <= MAX_PIXELS]
    if not fitting:
        raise UnplacedError(f"it has more than {MAX_PIXELS:,} pixels in every level")
    return fitting[0], levels[0]


def _scales(group: zarr.Group) -> Mapping[str, Any]:
    """What an image says of its levels; nothing where it is of another kind."""
    attributes = dict(group.attrs)
    scales = attributes.get("ome", attributes).get("multiscales")
    return scales[0] if scales else {}


def _axes(scales: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(axis["name"] for axis in scales.get("axes", []))


def _image_systems(group: zarr.Group) -> Systems:
    """Where an image's finest level lies."""
    scales = _scales(group)
    if _axes(scales) != _AXES:
        return {}
    own = [one for level in scales["datasets"][:1] for one in level.get("coordinateTransformations", [])]
    within = coordinate_systems.matrix_of(own, _AXES)
    systems = coordinate_systems.systems_of(scales.get("coordinateTransformations", []), _AXES)
    return {
        name: None if whole is None or within is None else whole @ within for name, whole in systems.items()
    }


def _systems(shapes: zarr.Group) -> Systems:
    """Where shapes lie."""
    attributes = dict(shapes.attrs)
    axes = [str(axis) for axis in attributes.get("axes", ("x", "y"))]
    return coordinate_systems.systems_of(attributes.get("coordinateTransformations", []), axes)


def _regions(table: zarr.Group) -> Sequence[str]:
    """Names of the elements that a table is about."""
    regions = dict(table.attrs).get("region") or ()
    return [regions] if isinstance(regions, str) else [str(region) for region in regions]


def _shapes(group: zarr.Group, regions: Sequence[str]) -> str | None:
    """The path of a table's shapes, where there are such, and not several."""
    if len(regions) != 1 or "shapes" not in group or regions[0] not in group["shapes"]:
        return None
    return f"shapes/{regions[0]}"


def _prefixes(table: str, regions: Iterable[str]) -> set[str]:
    """How the names of a table's images may begin: shapes Brain_square_008um are of the data set Brain."""
    datasets = {region.partition(f"_{table}")[0] for region in regions if f"_{table}" in region}
    return {f"{name}_" for name in {table, *regions, *datasets}}


def _prefix(image: str, prefixes: Iterable[str]) -> str:
    """The longest beginning of a name that is one of some."""
    return max((prefix for prefix in prefixes if image.startswith(prefix)), key=len, default="")


def _named(image: str, regions: Mapping[str, Sequence[str]]) -> list[str]:
    """The tables that an image is named for: of p1 and p1_b the latter, where its name begins with both."""
    lengths = {table: len(_prefix(image, _prefixes(table, mine))) for table, mine in regions.items()}
    longest = max(lengths.values())
    return [table for table, length in lengths.items() if length == longest] if longest else []


def _beside(image: zarr.Group, spots: Mapping[str, Systems]) -> list[str]:
    """The tables whose shapes share a coordinate system with an image."""
    systems = set(_image_systems(image))
    return [table for table, mine in spots.items() if systems & set(mine)]


def _names(images: Sequence[str], prefixes: Iterable[str]) -> dict[str, str]:
    """What images are called in the sample: ``p1_hires``, ``p1_hires_image`` of table p1 are its ``hires``.

    So is another's ``x_hires_image`` where no image but this is a ``hires``.
    """
    named, kinds = {}, {}
    for image in images:
        if prefix := _prefix(image, prefixes):
            named[image] = image.removeprefix(prefix).removesuffix("_image") or image
        elif match := _KIND.match(image):
            kinds[image] = match[1]
    wanted = [*named.values(), *kinds.values()]
    found: dict[str, str] = {}
    for image in images:
        name = named.get(image) or kinds.get(image, "")
        if not name or (image in kinds and wanted.count(name) > 1):
            name = image.removesuffix("_image") or image
        found[image if name in found else name] = image
    return found

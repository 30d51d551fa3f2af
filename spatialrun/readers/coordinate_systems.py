"""Coordinate systems of a SpatialData store: how an image lies under the spots that share one with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Systems = Mapping[str, np.ndarray | None]
    """Name of a coordinate system to the (3, 3) matrix that takes an element's own x, y, 1 there; ``None`` where
    that is not known."""

GLOBAL = "global"
"""The coordinate system that spatialdata takes where none is named."""
ALLOWANCE = 1e-3
"""Of an image's longer side: by how much a scale alone may misplace it, if that is more than a pixel."""


class UnplacedError(Exception):
    """It cannot be told how an image lies under the spots; the message says why."""


def systems_of(transformations: Sequence[Mapping[str, Any]], axes: Sequence[str]) -> dict[str, Any]:
    """Where an element lies in each coordinate system, by what its attributes say.

    Parameters
    ----------
    transformations
        ``coordinateTransformations``, as spatialdata writes them: one to each coordinate system.
    axes
        Names of the element's axes, in their order.

    Returns
    -------
    dict
        Name to matrix; an element without transformations is in the global coordinates as it is.
    """
    import numpy as np

    if not transformations:
        return {GLOBAL: np.eye(3)}
    return {_system(one): matrix_of([one], axes) for one in transformations}


def matrix_of(transformations: Iterable[Mapping[str, Any]], axes: Sequence[str]) -> np.ndarray | None:
    """One after another, as a (3, 3) matrix over x, y, 1; ``None`` where one is of a kind that is not known."""
    import numpy as np

    whole: np.ndarray = np.eye(3)
    for one in transformations:
        part = _matrix(one, axes)
        if part is None:
            return None
        whole = part @ whole
        axes = _axes(one.get("output")) or axes
    return whole


def shared(spots: Systems | None, image: Systems, images: Iterable[Systems]) -> str:
    """Choose the coordinate system in which an image is laid under the spots.

    Parameters
    ----------
    spots
        Where the spots' shapes lie; ``None`` where the store does not have them.
    image
        Where the image lies.
    images
        Where all images of the same spots lie: what they have in common stands in for shapes.

    Returns
    -------
    str
        The global one if there is, else one in which the spots have their own coordinates, else any.

    Raises
    ------
    UnplacedError
        There is none, or, without shapes, there are several.
    """
    import numpy as np

    if spots is not None:
        common = [name for name in spots if name in image]
        own = [name for name in common if (lie := spots[name]) is not None and np.allclose(lie, np.eye(3))]
    else:
        everywhere = list(images)
        common = [name for name in image if all(name in other for other in everywhere)]
        own = []
    if GLOBAL in image and (spots is None or GLOBAL in spots):
        return GLOBAL
    if not common:
        raise UnplacedError("it shares no coordinate system with the spots")
    if spots is None and len(common) > 1:
        raise UnplacedError(
            f"in which of its coordinate systems the spots lie is not known: {', '.join(common)}"
        )
    return (own or common)[0]


def pixels_per_unit(spots: Systems | None, image: Systems, system: str, size: tuple[int, int]) -> float:
    """Pixels of an image per unit of the spots' own coordinates.

    Parameters
    ----------
    spots, image
        As for `shared`; spots without shapes are in the coordinate system as they are.
    system
        The coordinate system that both share.
    size
        Height and width of the image in pixels.

    Raises
    ------
    UnplacedError
        The image is not merely larger or smaller than the section, or it is not known how it lies.
    """
    import numpy as np

    of_spots, of_image = np.eye(3) if spots is None else spots[system], image[system]
    if of_spots is None or of_image is None:
        whose = "its transformation" if of_image is None else "the spots' transformation"
        raise UnplacedError(f"{whose} is of a kind that is not known")
    if not np.linalg.det(of_image):
        raise UnplacedError("its transformation cannot be reversed")
    to_pixels = np.linalg.inv(of_image) @ of_spots
    scale = float(to_pixels[0, 0])
    height, width = size
    corners = np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]], dtype=np.float64)
    if scale > 0:
        placed = to_pixels @ (corners / [[scale], [scale], [1.0]])
        if np.abs(placed - corners).max() <= max(1.0, ALLOWANCE * max(size)):
            return scale
    raise UnplacedError("it is shifted, turned or stretched against the spots")


def _system(transformation: Mapping[str, Any]) -> str:
    output = transformation.get("output", {})
    return str(output.get("name", GLOBAL) if isinstance(output, Mapping) else output)


def _axes(coordinates: Any) -> list[str]:
    """Names of the axes of a transformation's input or output, where they are said."""
    said = coordinates.get("axes", []) if isinstance(coordinates, Mapping) else []
    return [str(axis["name"]) for axis in said]


def _matrix(one: Mapping[str, Any], axes: Sequence[str]) -> np.ndarray | None:
    import numpy as np

    inputs = _axes(one.get("input")) or list(axes)
    outputs = _axes(one.get("output")) or inputs
    of, to = ([names.index("x"), names.index("y")] for names in (inputs, outputs))
    matrix: np.ndarray = np.eye(3)
    match one.get("type"):
        case "identity":
            pass
        case "scale":
            matrix[[0, 1], [0, 1]] = np.asarray(one["scale"], dtype=np.float64)[of]
        case "translation":
            matrix[:2, 2] = np.asarray(one["translation"], dtype=np.float64)[of]
        case "affine":
            rows = np.asarray(one["affine"], dtype=np.float64)[to]
            matrix[:2, :2], matrix[:2, 2] = rows[:, of], rows[:, -1]
        case "rotation":
            matrix[:2, :2] = np.asarray(one["rotation"], dtype=np.float64)[np.ix_(to, of)]
        case "mapAxis":
            matrix[:2, :2] = [[one["mapAxis"][new] == old for old in ("x", "y")] for new in ("x", "y")]
        case "sequence":
            return matrix_of(one["transformations"], inputs)
        case _:
            return None
    return matrix

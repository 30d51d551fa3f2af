"""The scale bar: how many micrometres a pixel is, and the bar that says so.

Space Ranger does not write the scale of a Visium section, and ``spot_diameter_fullres`` does not tell it: spots
of the array are 55 µm wide, but files of real sections give the diameter of a circle of 65 or 70 µm, so a scale
from it would be a fifth off. What all versions agree on is the array: centres of neighbouring spots are 100 µm
apart, and fiducials are 105 µm wide. On real sections these two give the same scale within half a percent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation, blended_transform_factory
from numpy.typing import NDArray

from spatialrun.plots import style
from spatialrun.plots.geometry import View, lattice

PITCH_UM = 100.0
"""Between centres of neighbouring spots of a Visium array."""
FIDUCIAL_UM = 105.0
# Share of the pitch that Space Ranger's spots take: 0.55 to 0.7, with room for what pixels round off.
_SPOT_OF_PITCH = (0.5, 0.75)
# What a Visium file's fiducials are of its spots: 105 / 70 to 105 / 65, and 105 / 55.
_FIDUCIAL_OF_SPOT = (1.4, 2.0)
_SIXFOLD = 0.8


@dataclass(frozen=True)
class Ruler:
    """What is known of a section's scale.

    Attributes
    ----------
    microns_per_pixel
        Micrometres per full-resolution pixel; None where nothing tells.
    why
        What told it, or why nothing does.
    """

    microns_per_pixel: float | None
    why: str


def ruler(scalefactors: Mapping[str, float], xy: NDArray[np.float64]) -> Ruler:
    """The scale of a section from its scale factors and its spots' places.

    Parameters
    ----------
    scalefactors
        As in ``scalefactors_json.json``; ``microns_per_pixel``, which Visium HD has, is taken as it is.
    xy
        (N, 2) centres of spots in full-resolution pixels.
    """
    if given := scalefactors.get("microns_per_pixel"):
        return Ruler(float(given), "the scale factors give it")
    spot = scalefactors.get("spot_diameter_fullres")
    if not spot:
        return Ruler(None, "the scale factors have no spot_diameter_fullres")
    if bin_size := scalefactors.get("bin_size_um"):
        return Ruler(bin_size / spot, f"bins are {bin_size:g} µm wide")
    array = lattice(xy)
    if array.sixfold > _SIXFOLD and _SPOT_OF_PITCH[0] <= spot / array.pitch <= _SPOT_OF_PITCH[1]:
        return Ruler(PITCH_UM / array.pitch, f"neighbouring spots of Visium are {PITCH_UM:g} µm apart")
    fiducial = scalefactors.get("fiducial_diameter_fullres")
    if fiducial and _FIDUCIAL_OF_SPOT[0] <= fiducial / spot <= _FIDUCIAL_OF_SPOT[1]:
        return Ruler(FIDUCIAL_UM / fiducial, f"fiducials of Visium are {FIDUCIAL_UM:g} µm wide")
    return Ruler(None, "the spots are no Visium array")


def draw_scale_bar(axes: Axes, shown: View, width: float, microns_per_pixel: float) -> None:
    """Draw the longest round length within a quarter of a width, below the view's left corner.

    Parameters
    ----------
    axes
        In full-resolution pixels.
    shown
        What the axes show.
    width
        The width that the bar is to fit, in full-resolution pixels: the view's, or that of the largest view
        beside which it is drawn.
    microns_per_pixel
        The scale.
    """
    quarter = width * microns_per_pixel / 4
    decade = 10.0 ** math.floor(math.log10(quarter))
    microns = max(step * decade for step in (1, 2, 5) if step * decade <= quarter)
    end = shown.left + microns / microns_per_pixel
    points = axes.figure.dpi_scale_trans
    below = blended_transform_factory(axes.transData, axes.transAxes) + ScaledTranslation(0, -7 / 72, points)
    axes.plot(
        (shown.left, end),
        (0, 0),
        transform=below,
        color=style.INK,
        linewidth=2,
        solid_capstyle="butt",
        clip_on=False,
        scalex=False,
        scaley=False,
    )
    text = f"{microns / 1000:g} mm" if microns >= 1000 else f"{microns:g} µm"
    after = below + ScaledTranslation(4 / 72, 0, points)
    axes.text(end, 0, text, transform=after, va="center_baseline", fontsize=7.5)

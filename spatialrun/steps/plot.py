"""Figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, model_validator

from spatialrun.errors import DataError, SpatialrunError, Where
from spatialrun.slots import COHORT
from spatialrun.steps.colors import Color, ColorMap
from spatialrun.steps.contract import (
    CohortStep,
    Context,
    FileBytes,
    Inputs,
    Outputs,
    Parameters,
    Read,
    Shape,
    Site,
    Step,
    Write,
    parameter,
)
from spatialrun.steps.on_anndata import functions_of
from spatialrun.steps.shown import Shown, Top, color_reads, n_panels, panels_of

if TYPE_CHECKING:
    import numpy as np

    from spatialrun.plots.spatial import Panel

PANEL_INCHES = 8.0
"""No panel is larger where no size is asked for."""
PREFERRED_IMAGES = ("hires", "lowres")


def _ascending(bounds: tuple[float, float]) -> tuple[float, float]:
    if not bounds[0] < bounds[1]:
        raise ValueError(f"give the lower end first: [{bounds[1]:g}, {bounds[0]:g}]")
    return bounds


Bounds = Annotated[tuple[float, float], AfterValidator(_ascending)]
Limit = float | Annotated[str, parameter(..., pattern=r"^p\d+(\.\d+)?$")]


class SectionParams(Parameters):
    """How a section is drawn, alone or beside others; what colours it is left open."""

    color: str | tuple[str, ...] | Top | None = parameter(
        None,
        "What colours the spots: a column of obs, else a gene (obs:x, gene:x force it); a list for several "
        "panels; {top: 6, by: spatialde.rank} for the best genes; null for plain spots.",
    )
    channels: tuple[str, ...] | Literal["auto"] | None = parameter(
        "auto",
        "Background: one to three channels of an image (hires/r); auto: hires, else lowres; null: none.",
    )
    layer: str | None = parameter(
        None, "Layer of the genes' values; null for lognorm where there is one, else counts."
    )
    spatial_key: str = parameter("spatial", "Array of obsm with the spots' places.")
    xrange: Bounds | None = parameter(
        None, "Part of the section to show: left, right.", unit="full-resolution pixels"
    )
    yrange: Bounds | None = parameter(
        None, "Part of the section to show: top, bottom.", unit="full-resolution pixels"
    )
    crop: Literal["tissue", "image"] | None = parameter(
        "tissue", "Without a range, show the spots' surroundings, the whole image, or (null) both."
    )
    figsize: tuple[float, float] | None = parameter(
        None, "Width and height of the whole figure; null for what the view needs.", unit="inches"
    )
    dpi: float = parameter(150.0, "Resolution.", unit="pixels per inch", gt=0, le=1200)
    ptsize: float | None = parameter(
        None, "Area of the spots; null draws their real diameter to scale.", unit="points²", gt=0
    )
    shape: Literal["circle", "hexagon", "square"] = parameter("circle", "Shape of the spots.")
    palette: dict[str, Color] | tuple[Color, ...] | None = parameter(
        None, "Colours of categories: by name, or in their order; null for the house's."
    )
    cmap: ColorMap | None = parameter(
        None, "Colour map of numbers, by matplotlib's name; null for the house's."
    )
    vmin: Limit | None = parameter(None, "Lower end of the colour scale: a number or a percentile (p1).")
    vmax: Limit | None = parameter(
        None, "Upper end of the colour scale: a number or a percentile (p99); null: where outliers begin."
    )
    na_color: Color | None = parameter(None, "Colour of spots without a value; null for the house's.")
    order: Literal["value", "given"] = parameter(
        "value", "Draw high values over low ones, or spots as they come."
    )
    alpha: float = parameter(1.0, "Opacity of the spots.", ge=0, le=1)
    image_alpha: float = parameter(1.0, "Opacity of the image.", ge=0, le=1)
    title: str | None = parameter("{color}", "Title of each panel; {color} is what it shows; null for none.")
    label: str | None = parameter(None, "Label of the legend or colour bar.")
    legend: bool = parameter(True, "Draw the legend or colour bar.")
    scale_bar: bool = parameter(True, "Draw a scale bar, where the scale is known.")
    microns_per_pixel: float | None = parameter(
        None,
        "Scale of the section; null for what the scale factors and the array of spots tell.",
        unit="micrometres per full-resolution pixel",
        gt=0,
    )
    ncols: int | None = parameter(None, "Panels in a row; null for up to four.", ge=1)
    format: Literal["png", "svg", "pdf"] = parameter("png", "Kind of file.")

    @model_validator(mode="after")
    def _one_image(self) -> Self:
        if isinstance(self.channels, tuple):
            parts = [channel.partition("/") for channel in self.channels]
            if not 1 <= len(parts) <= 3 or len({image for image, _, _ in parts}) != 1:
                raise ValueError(
                    "`channels` are one to three channels of one image: [hires/r, hires/g, hires/b]"
                )
            if not all(name for _, _, name in parts):
                raise ValueError("a channel is written image/channel: hires/r")
        return self


class PlotSpatialParams(SectionParams):
    shared: bool = parameter(False, "One colour scale, with one key, for all panels.")


class PlotSpatial(Step):
    """Draw spots on their tissue, coloured by genes or by columns of obs."""

    name = "plot.spatial"
    version = 4
    Params = PlotSpatialParams
    distributions = ("matplotlib",)

    def reads(self, params: PlotSpatialParams, site: Site) -> Sequence[Read]:
        return section_reads(params, site.declared)

    def writes(self, params: PlotSpatialParams, site: Site) -> Sequence[Write]:
        return [Write("figure", f"figures/{site.step}")]

    def memory(self, shape: Shape, params: PlotSpatialParams) -> int:
        """The image as it is drawn to scale; the places of the spots, and every panel's colours and pixels."""
        return 50_000_000 + 100 * shape.n_obs + n_panels(params.color) * (15_000_000 + 100 * shape.n_obs)

    def run(self, inputs: Inputs, params: PlotSpatialParams, context: Context) -> Outputs:
        from spatialrun.plots.spatial import panels, render

        section = Section.read(inputs, params, context)
        specs = [section.panel(shown, params) for shown in panels_of(inputs, params)]
        figure = panels(
            specs, ncols=params.ncols, shared=params.shared, figsize=params.figsize, dpi=params.dpi
        )
        return {"figure": FileBytes(render(figure, params.format), f".{params.format}")}


class PlotCohortParams(SectionParams):
    color: str | None = parameter(
        None,
        "What colours the spots: a column of obs, else a gene (obs:x, gene:x force it); null for plain spots.",
    )
    title: str | None = parameter(
        "{sample}", "Title of each panel; {sample} and {color} are filled in; null for none."
    )


class PlotCohort(CohortStep):
    """Draw the same on every sample, beside each other: one colour scale, one scale of length, one key.

    A gene that a sample does not have is missing there; one that no sample has is an error.
    """

    name = "plot.cohort"
    version = 4
    Params = PlotCohortParams
    distributions = ("matplotlib",)

    def reads(self, params: PlotCohortParams, site: Site) -> Sequence[Read]:
        return section_reads(params, site.declared)

    def cohort_writes(self, params: PlotCohortParams, site: Site) -> Sequence[Write]:
        return [Write("figure", f"figures/{site.step}")]

    def memory(self, shape: Shape, params: PlotCohortParams) -> int:
        """Every sample's image, and the canvas and the outlines of all spots."""
        return 1_000_000_000 + 500 * shape.n_obs

    def run_cohort(
        self, inputs: Mapping[str, Inputs], params: PlotCohortParams, context: Context
    ) -> Mapping[str, Outputs]:
        from spatialrun.plots.spatial import panels, render

        specs = []
        for (sample, own), shown in zip(inputs.items(), _of_members(inputs, params, context), strict=True):
            try:
                section = Section.read(own, params, context)
                specs.append(section.panel(_named(shown, params), params, sample=sample))
            except SpatialrunError as error:
                raise error.at(sample=sample) from None
        figure = panels(specs, ncols=params.ncols, shared=True, figsize=params.figsize, dpi=params.dpi)
        return {COHORT: {"figure": FileBytes(render(figure, params.format), f".{params.format}")}}


def _named(shown: Shown, params: PlotCohortParams) -> Shown:
    """Name what is drawn in the key, where no title does."""
    if "{color}" in (params.title or ""):
        return shown
    return replace(shown, label=", ".join(filter(None, (shown.name, shown.label))) or None)


def _of_members(inputs: Mapping[str, Inputs], params: PlotCohortParams, context: Context) -> list[Shown]:
    """What every member's panel shows."""
    import numpy as np

    found: dict[str, Shown] = {}
    absent: dict[str, DataError] = {}
    for sample, own in inputs.items():
        try:
            found[sample] = next(panels_of(own, params))
        except DataError as error:
            absent[sample] = error
    if absent and not found:
        raise next(iter(absent.values()))
    for sample in absent:
        example = next(iter(found.values()))
        context.warn(f"{sample} has no gene {example.name}: its spots are drawn without a value")
        n_spots = len(inputs[sample]["spatial"].read())
        found[sample] = Shown(example.name, np.full(n_spots, np.nan), example.label)
    return [found[sample] for sample in inputs]


@dataclass(frozen=True, eq=False)
class Section:
    """One sample as it lies: its spots, the image behind them, and their scale."""

    coordinates: np.ndarray
    image: np.ndarray | None
    image_scalef: float
    spot_diameter: float | None
    microns_per_pixel: float | None

    @classmethod
    def read(cls, inputs: Inputs, params: SectionParams, context: Context) -> Section:
        """Read what every panel of a sample shares; the log says whence the scale is known."""
        from spatialrun.plots.scalebar import ruler

        about = inputs["about"].read() if "about" in inputs else {}
        factors = about.get("scalefactors", {})
        xy = inputs["spatial"].read()
        image, scalef = _background(inputs, params)
        scale = params.microns_per_pixel
        if params.scale_bar and scale is None:
            known = ruler(factors, xy)
            scale = known.microns_per_pixel
            if scale is None:
                context.log(f"no scale bar: {known.why}; `microns_per_pixel` draws one")
            else:
                context.log(f"{scale:.4g} µm per full-resolution pixel: {known.why}")
        diameter = factors.get("spot_diameter_fullres")
        return cls(xy, image, scalef, diameter, scale if params.scale_bar else None)

    def panel(self, shown: Shown, params: SectionParams, *, sample: str = "") -> Panel:
        """The panel that shows something on this section."""
        from spatialrun.plots.spatial import Panel

        title = (params.title or "").replace("{color}", shown.name).replace("{sample}", sample)
        return Panel(
            coordinates=self.coordinates,
            values=shown.values,
            image=self.image,
            image_scalef=self.image_scalef,
            spot_diameter=self.spot_diameter,
            microns_per_pixel=self.microns_per_pixel,
            title=title or None,
            label=params.label if params.label is not None else shown.label,
            **_appearance(params),
        )


PANEL = (
    "ptsize",
    "shape",
    "xrange",
    "yrange",
    "crop",
    "palette",
    "cmap",
    "vmin",
    "vmax",
    "na_color",
    "order",
    "alpha",
    "image_alpha",
    "legend",
)
"""Parameters that are handed to every panel as they are."""


def _appearance(params: SectionParams) -> dict[str, Any]:
    values = {name: getattr(params, name) for name in PANEL}
    if values["na_color"] is None:
        del values["na_color"]
    return values


def section_reads(params: SectionParams, declared: frozenset[str]) -> list[Read]:
    """What has to be read to draw a section: places, scale factors, the image, and the colours."""
    reads = [Read("spatial", f"obsm/{params.spatial_key}"), Read("about", "uns/spatial", optional=True)]
    if params.channels == "auto":
        images = [f"images/{name}" for name in PREFERRED_IMAGES]
        reads += [Read(slot, slot) for slot in images if slot in declared][:1]
    elif params.channels:
        slot = f"images/{params.channels[0].partition('/')[0]}"
        reads.append(Read(slot, slot))
    return [*reads, *color_reads(params, declared)]


def _pixels_of(params: SectionParams) -> float:
    """How many pixels a figure can show of an image at most, twice over: the view may leave half of it out."""
    if params.xrange or params.yrange:
        return math.inf
    return 2 * params.dpi * max(params.figsize or (PANEL_INCHES,))


def _background(inputs: Inputs, params: SectionParams) -> tuple[np.ndarray | None, float]:
    """The channels (c, y, x) of the image, and its pixels per full-resolution pixel."""
    channels = params.channels
    slot = next((port for port in inputs if port.startswith("images/")), None)
    if slot is None:
        return None, 1.0
    image = inputs[slot].level(_pixels_of(params))
    scalef = float(image.attrs["scalef"])
    if not isinstance(channels, tuple):
        return image.to_numpy(), scalef
    names = [channel.partition("/")[2] for channel in channels]
    there = [str(name) for name in image.coords["c"].to_numpy()]
    for name in names:
        if name not in there:
            raise DataError(
                "data.image",
                f"the image has no channel {name!r}",
                where=Where(slot=slot),
                hint=f"It has: {', '.join(there)}.",
            )
    return image.sel(c=names).to_numpy(), scalef


__getattr__ = functions_of(__name__)

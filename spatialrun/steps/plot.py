"""Figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, model_validator

from spatialrun.errors import DataError, Where
from spatialrun.slots import name_of
from spatialrun.steps.contract import (
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

if TYPE_CHECKING:
    import numpy as np

PREFERRED_IMAGES = ("hires", "lowres")
PREFERRED_LAYERS = ("lognorm", "counts")


def _ascending(bounds: tuple[float, float]) -> tuple[float, float]:
    if not bounds[0] < bounds[1]:
        raise ValueError(f"give the lower end first: [{bounds[1]:g}, {bounds[0]:g}]")
    return bounds


Bounds = Annotated[tuple[float, float], AfterValidator(_ascending)]
Limit = float | Annotated[str, parameter(..., pattern=r"^p\d+(\.\d+)?$")]


class Top(Parameters):
    """The best genes by a column of var, one panel each."""

    top: int = parameter(..., "How many genes.", unit="genes", ge=1, le=100)
    by: str = parameter(..., "Column of var that ranks them: spatialde.rank.")
    descending: bool = parameter(False, "Whether the largest values are the best.")


class PlotSpatialParams(Parameters):
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
    palette: dict[str, str] | tuple[str, ...] | None = parameter(
        None, "Colours of categories: by name, or in their order; null for the house's."
    )
    cmap: str | None = parameter(None, "Colour map of numbers, by matplotlib's name; null for the house's.")
    vmin: Limit | None = parameter(None, "Lower end of the colour scale: a number or a percentile (p1).")
    vmax: Limit | None = parameter(None, "Upper end of the colour scale: a number or a percentile (p99).")
    na_color: str | None = parameter(None, "Colour of spots without a value; null for the house's.")
    order: Literal["value", "given"] = parameter(
        "value", "Draw high values over low ones, or spots as they come."
    )
    alpha: float = parameter(1.0, "Opacity of the spots.", ge=0, le=1)
    image_alpha: float = parameter(1.0, "Opacity of the image.", ge=0, le=1)
    title: str | None = parameter("{color}", "Title of each panel; {color} is what it shows; null for none.")
    label: str | None = parameter(None, "Label of the legend or colour bar.")
    legend: bool = parameter(True, "Draw the legend or colour bar.")
    microns_per_pixel: float | None = parameter(
        None, "Draws a scale bar.", unit="micrometres per full-resolution pixel", gt=0
    )
    ncols: int | None = parameter(None, "Panels in a row; null for up to four.", ge=1)
    format: Literal["png", "svg", "pdf"] = parameter("png", "Kind of file.")

    @model_validator(mode="after")
    def _one_image(self) -> PlotSpatialParams:
        if isinstance(self.channels, tuple):
            parts = [channel.partition("/") for channel in self.channels]
            if not 1 <= len(parts) <= 3 or len({image for image, _, _ in parts}) != 1:
                raise ValueError(
                    "`channels` are one to three channels of one image: [hires/r, hires/g, hires/b]"
                )
            if not all(name for _, _, name in parts):
                raise ValueError("a channel is written image/channel: hires/r")
        return self


class PlotSpatial(Step):
    """Draw spots on their tissue, coloured by genes or by columns of obs."""

    name = "plot.spatial"
    Params = PlotSpatialParams
    distributions = ("matplotlib",)

    def reads(self, params: PlotSpatialParams, site: Site) -> Sequence[Read]:
        declared = site.declared
        reads = [Read("spatial", f"obsm/{params.spatial_key}"), Read("about", "uns/spatial", optional=True)]
        if params.channels == "auto":
            images = [f"images/{name}" for name in PREFERRED_IMAGES]
            reads += [Read(slot, slot) for slot in images if slot in declared][:1]
        elif params.channels:
            slot = f"images/{params.channels[0].partition('/')[0]}"
            reads.append(Read(slot, slot))
        return [*reads, *color_reads(params, declared)]

    def writes(self, params: PlotSpatialParams, site: Site) -> Sequence[Write]:
        return [Write("figure", f"figures/{site.step}")]

    def memory(self, shape: Shape, params: PlotSpatialParams) -> int:
        """The image and the canvas in float, and the outlines of the spots, panel by panel."""
        return 200_000_000 + n_panels(params.color) * (100_000_000 + 500 * shape.n_obs)

    def run(self, inputs: Inputs, params: PlotSpatialParams, context: Context) -> Outputs:
        from spatialrun.plots.spatial import Panel, panels, render

        about = inputs["about"].read() if "about" in inputs else {}
        scalefactors = about.get("scalefactors", {})
        image, scalef = _background(inputs, params.channels)
        specs = [
            Panel(
                coordinates=inputs["spatial"].read(),
                values=shown.values,
                image=image,
                image_scalef=scalef,
                spot_diameter=scalefactors.get("spot_diameter_fullres"),
                microns_per_pixel=params.microns_per_pixel or scalefactors.get("microns_per_pixel"),
                title=None if params.title is None else params.title.replace("{color}", shown.name) or None,
                label=params.label if params.label is not None else shown.label,
                **_appearance(params),
            )
            for shown in panels_of(inputs, params)
        ]
        figure = panels(specs, ncols=params.ncols, figsize=params.figsize, dpi=params.dpi)
        return {"figure": FileBytes(render(figure, params.format), f".{params.format}")}


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


@dataclass(frozen=True, eq=False)
class Shown:
    """What one panel shows."""

    name: str
    values: Any
    label: str | None = None


def _appearance(params: PlotSpatialParams) -> dict[str, Any]:
    values = {name: getattr(params, name) for name in PANEL}
    if values["na_color"] is None:
        del values["na_color"]
    return values


class Colored(Protocol):
    """The parameters that say what is shown."""

    @property
    def color(self) -> str | tuple[str, ...] | Top | None:
        """What colours the spots."""

    @property
    def layer(self) -> str | None:
        """Layer of the genes' values."""


def color_reads(params: Colored, declared: frozenset[str]) -> list[Read]:
    """What has to be read for the colours: columns of obs, a ranking, a layer of genes."""
    colors = [slot_of(color, declared) for color in colors_of(params.color)]
    reads = [Read(slot, slot) for slot in dict.fromkeys(slot for slot in colors if slot is not None)]
    if isinstance(params.color, Top):
        reads.append(Read("ranking", f"var/{params.color.by}"))
    if isinstance(params.color, Top) or None in colors:
        reads += [Read("genes", "axes/var"), layer_read(params.layer, declared)]
    return reads


def layer_read(layer: str | None, declared: frozenset[str]) -> Read:
    """The layer asked for, else the best one that there is."""
    layers = [layer] if layer else [name for name in PREFERRED_LAYERS if f"layers/{name}" in declared]
    slot = f"layers/{layers[0] if layers else PREFERRED_LAYERS[-1]}"
    return Read(slot, slot)


def n_panels(color: str | tuple[str, ...] | Top | None) -> int:
    """How many panels there will be."""
    return color.top if isinstance(color, Top) else max(1, len(colors_of(color)))


def colors_of(color: str | tuple[str, ...] | Top | None) -> tuple[str, ...]:
    """What colours the panels, as far as the recipe names it."""
    if color is None or isinstance(color, Top):
        return ()
    return (color,) if isinstance(color, str) else color


def slot_of(color: str, declared: frozenset[str]) -> str | None:
    """The slot of a column of obs; ``None`` for a gene."""
    kind, colon, name = color.partition(":")
    if colon and kind in ("obs", "gene"):
        return f"obs/{name}" if kind == "obs" else None
    return f"obs/{color}" if f"obs/{color}" in declared else None


def panels_of(inputs: Inputs, params: Colored) -> Iterator[Shown]:
    """What the panels show, in order."""
    if params.color is None:
        yield Shown("", None)
        return
    if isinstance(params.color, Top):
        genes = _best(inputs, params.color)
    else:
        genes = []
        for color in colors_of(params.color):
            slot = slot_of(color, frozenset(inputs))
            if slot is not None:
                yield Shown(name_of(slot), inputs[slot].read())
            else:
                yield _expression(inputs, color.removeprefix("gene:"))
    for gene in genes:
        yield _expression(inputs, gene)


def _best(inputs: Inputs, best: Top) -> list[str]:
    """The names of the genes that rank first; genes without a value are never among them."""
    import numpy as np

    ranking = np.asarray(inputs["ranking"].read(), dtype=np.float64)
    order = np.argsort(-ranking if best.descending else ranking, kind="stable")
    ranked = order[~np.isnan(ranking[order])]
    if not len(ranked):
        raise DataError("data.values", "no gene has a rank", where=Where(slot=f"var/{best.by}"))
    names = inputs["genes"].read()
    return [str(names[position]) for position in ranked[: best.top]]


def _expression(inputs: Inputs, gene: str) -> Shown:
    """One gene's values over the spots."""
    import numpy as np

    names = inputs["genes"].read()
    found = np.flatnonzero(names == gene)
    if not len(found):
        raise DataError(
            "data.values", f"no gene and no column of obs is called {gene!r}", hint=nearest_genes(gene, names)
        )
    layer = next(port for port in inputs if port.startswith("layers/"))
    column = inputs[layer].columns(int(found[0]), int(found[0]) + 1)
    return Shown(gene, column.toarray().ravel(), name_of(layer))


def nearest_genes(gene: str, names: np.ndarray) -> str | None:
    """Genes of a similar name, whatever its case: mouse and human symbols differ in nothing else."""
    from difflib import get_close_matches

    by_upper = {str(name).upper(): str(name) for name in names}
    near = [by_upper[match] for match in get_close_matches(gene.upper(), by_upper, n=3)]
    return f"Did you mean {' or '.join(near)}?" if near else None


def _background(inputs: Inputs, channels: tuple[str, ...] | str | None) -> tuple[np.ndarray | None, float]:
    """The channels (c, y, x) of the image, and its pixels per full-resolution pixel."""
    slot = next((port for port in inputs if port.startswith("images/")), None)
    if slot is None:
        return None, 1.0
    image = inputs[slot].read()
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

"""From a figure to bytes: the same figure gives the same bytes, today, tomorrow and in another process."""

from __future__ import annotations

import io
from typing import Literal

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from spatialrun.errors import UsageError
from spatialrun.plots import style

Format = Literal["png", "svg", "pdf"]

# Each format's canvas, and what it would write of its own accord: dates, and versions of software.
_FORMATS = {
    "png": (FigureCanvasAgg, {"Software": None}),
    "svg": (FigureCanvasSVG, {"Date": None, "Creator": None}),
    "pdf": (FigureCanvasPdf, {"CreationDate": None, "Creator": None, "Producer": None}),
}


def render(figure: Figure, format: Format = "png", dpi: float | None = None) -> bytes:
    """The bytes of a figure file.

    Parameters
    ----------
    figure
        What `spatialrun.plots.spatial.spatial` or `panels` returned.
    format
        ``png``, ``svg`` or ``pdf``. In the latter two text is text and spots are shapes; where there are
        more than a drawing program could open, they are an image.
    dpi
        Pixels per inch of a png, and of what is an image in an svg or pdf; by default the figure's own.

    Raises
    ------
    UsageError
        ``usage``: another format.
    """
    if format not in _FORMATS:
        raise UsageError("usage", f"no figure format {format!r}", hint=f"one of {', '.join(_FORMATS)}")
    canvas_type, metadata = _FORMATS[format]
    buffer = io.BytesIO()
    own_canvas = figure.canvas
    with style.house():
        try:
            canvas_type(figure).print_figure(
                buffer, format=format, dpi=figure.dpi if dpi is None else dpi, metadata=metadata
            )
        finally:
            figure.set_canvas(own_canvas)
    return buffer.getvalue()

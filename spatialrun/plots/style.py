"""The house style of every figure, as a context: matplotlib's settings are as before once it is left."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib

INK = "#1f2328"
FAINT = "#b9bec4"

HOUSE: dict[str, object] = {
    # The one family that matplotlib itself brings: a figure has the same letters on every machine.
    "font.family": ["DejaVu Sans"],
    "font.size": 8.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 5.0,
    "axes.labelsize": 8.0,
    "axes.linewidth": 0.5,
    "axes.edgecolor": FAINT,
    "axes.facecolor": "white",
    "axes.labelcolor": INK,
    "text.color": INK,
    # Names of genes and domains are text, whatever dollar signs they hold.
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "ytick.major.pad": 2.0,
    "legend.fontsize": 7.5,
    "legend.title_fontsize": 8.0,
    "legend.frameon": False,
    "legend.borderpad": 0.0,
    "legend.borderaxespad": 0.0,
    "legend.labelspacing": 0.45,
    "legend.handletextpad": 0.35,
    "legend.columnspacing": 1.0,
    "legend.handlelength": 1.0,
    "figure.facecolor": "white",
    "savefig.facecolor": "auto",
    # Text stays text: it can be searched, and edited in a drawing program.
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "spatialrun",
}

# Settings of the session, not of a figure.
_NOT_STYLE = (
    "backend",
    "interactive",
    "toolbar",
    "webagg",
    "tk.",
    "macosx.",
    "docstring.",
    "date.",
    "keymap.",
)

# matplotlib's settings are one for the whole process, so figures are drawn one at a time.
_one_at_a_time = threading.RLock()


@contextmanager
def house() -> Iterator[None]:
    """Draw in the house style, whatever the user's own matplotlib settings; they are restored at the end."""
    with _one_at_a_time:
        defaults = {k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith(_NOT_STYLE)}
        with matplotlib.rc_context({**defaults, **HOUSE}):
            yield

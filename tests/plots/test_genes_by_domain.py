from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.colors import to_rgba

from spatialrun.errors import DataError, UsageError
from spatialrun.plots import palettes
from spatialrun.plots.genes import GenesByDomain, genes_by_domain
from spatialrun.plots.render import render

MEANS = np.array([[0.0, 1.0, 2.0], [4.0, 1.0, 1.0]])
FRACTIONS = np.array([[0.0, 0.25, 0.5], [0.64, 0.25, 0.16]])
SHOWN = GenesByDomain(MEANS, FRACTIONS, ["0", "1"], ["MBP", "PCP4", "CCK"], {"0": (0, 1), "1": (1, 3)})


def dots(figure) -> PathCollection:
    (collection,) = (c for c in figure.axes[0].collections if isinstance(c, PathCollection))
    return collection


def test_area_is_the_fraction():
    areas = dots(genes_by_domain(SHOWN)).get_sizes().reshape(2, 3)
    np.testing.assert_allclose(areas / areas[1, 0], FRACTIONS / 0.64)
    full = dots(genes_by_domain(SHOWN, dot_max=0.5)).get_sizes().reshape(2, 3)
    assert full[1, 0] == full[0, 2], "beyond dot_max no dot grows"


def test_colour_is_the_mean():
    import matplotlib

    colors = dots(genes_by_domain(SHOWN)).get_facecolors()
    np.testing.assert_allclose(colors, matplotlib.colormaps["Reds"](MEANS.ravel() / 4), atol=0.01)


def test_rows_are_domains_and_columns_genes():
    axes = genes_by_domain(SHOWN).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "1"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["MBP", "PCP4", "CCK"]
    assert axes.get_ylim() == (1.5, -0.5), "the first domain is above"
    assert [text.get_text() for text in axes.texts] == ["0", "1"], "names of the brackets"
    swatches = [patch.get_facecolor() for patch in axes.patches]
    assert swatches == [to_rgba(color) for color in palettes.categorical(["0", "1"]).values()]


@pytest.mark.parametrize(
    ("standard", "expected"),
    [
        (None, MEANS),
        ("var", [[0, 0, 1], [1, 0, 0]]),
        ("group", [[0, 0.5, 1], [1, 0, 0]]),
    ],
)
def test_a_matrix_of_means(standard, expected):
    figure = genes_by_domain(SHOWN, "matrix", standard_scale=standard)
    (mesh,) = (c for c in figure.axes[0].collections if isinstance(c, QuadMesh))
    np.testing.assert_allclose(mesh.get_array(), expected)


@pytest.mark.parametrize("kind", ["dotplot", "matrix"])
def test_everything_lies_within_the_figure(kind):
    names = [f"a long name of domain {i}" for i in range(4)]
    shown = GenesByDomain(
        np.ones((4, 2)), np.ones((4, 2)), names, ["LONGGENENAME1", "B"], {names[0]: (0, 1), names[1]: (1, 2)}
    )
    figure = genes_by_domain(shown, kind, title="Markers", label="mean lognorm")
    figure.canvas.draw()
    box = figure.get_tightbbox()
    assert min(box.x0, box.y0) >= 0
    assert (box.x1, box.y1) <= tuple(figure.get_size_inches())


@pytest.mark.parametrize("format", ["png", "svg", "pdf"])
def test_the_same_figure_is_the_same_file(format):
    first, again = (render(genes_by_domain(SHOWN, dpi=60), format) for _ in range(2))
    assert first == again


def test_nothing_to_draw():
    with pytest.raises(DataError, match="no genes"):
        genes_by_domain(GenesByDomain(np.empty((2, 0)), np.empty((2, 0)), ["0", "1"], [], {}))
    with pytest.raises(UsageError):
        genes_by_domain(SHOWN, cmap="nope")

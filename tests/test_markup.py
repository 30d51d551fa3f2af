from __future__ import annotations

from html.parser import HTMLParser

import pytest
from lab import Lab

from spatialrun import markup
from spatialrun.values import FileBytes

STEPS = """\
  - {id: read, uses: read.visium, with: {min_spots: 3}}
  - {id: log, uses: normalize.log}
  - {id: map, uses: plot.spatial, with: {color: GENE<b>none}}
"""


class Balance(HTMLParser):
    """Fails where a tag is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def text_of(html: str) -> str:
    parser = Balance()
    parser.feed(html)
    assert not parser.open
    return parser.text


def test_every_text_is_escaped():
    html = markup.box(
        "<i>", "a & b", markup.table([["<script>", "x"]], ["<th>"]), markup.folded("<u>", markup.table([]))
    )
    assert "<script>" not in html
    assert text_of(html) == "spatialrun <i>, a & b<th><script>x<u>"


@pytest.fixture(scope="module")
def lab(tmp_path_factory, sections) -> Lab:
    return Lab(tmp_path_factory.mktemp("markup") / "lab", {"a": sections["a"], "b": sections["b"]}, STEPS)


def test_a_plan_and_the_run_that_follows(lab: Lab):
    """One row a step; what failed is shown with its code, and what is no markup is none."""
    plan = text_of(lab.plan()._repr_html_())
    assert plan.startswith("spatialrun plan, ")
    assert "readread.visium2 run" in plan
    assert "normalize.log2 pending" in plan
    outcome = lab.apply()
    assert repr(lab.plan()) == "<plan: 4 cached, 2 run>"
    assert repr(outcome) == f"<outcome of run {outcome.run.id}: 4 done, 2 failed>"
    html = outcome._repr_html_()
    assert html == outcome.run._repr_html_()
    said = text_of(html)
    assert said.startswith(f"spatialrun run, {outcome.run.id}: failed")
    assert "logcached" not in said
    assert "normalize.log2 done" in said
    assert "plot.spatial2 failed" in said
    assert "map, adata.values" in said
    assert "GENE<b>none" in said
    assert "<b>none" not in html
    again = text_of(lab.plan()._repr_html_())
    assert "normalize.log2 cached" in again
    assert "plot.spatial2 runfailed last time [data.values]" in again


def test_a_notebook_shows_a_figure():
    """As a picture; its name on a terminal is no megabyte of bytes."""
    figure, drawing = FileBytes(b"\x89PNG" * 1000, ".png"), FileBytes(b"<svg/>", ".svg")
    assert (figure._repr_png_(), figure._repr_svg_()) == (figure.content, None)
    assert (drawing._repr_png_(), drawing._repr_svg_()) == (None, "<svg/>")
    assert repr(figure) == "FileBytes(suffix='.png')"

"""The report of a run: what stands in it, and that nothing outside is needed."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import cycle, islice

import pytest

from spatialrun.plots.palettes import MISSING, categorical
from spatialrun.report import gallery, tables
from spatialrun.report.citations import citations_of
from spatialrun.report.composition import compositions_of
from spatialrun.report.flow import HEIGHT, WIDTH, flow_of
from spatialrun.report.quality import qualities_of
from spatialrun.report.report import NAME, render
from spatialrun.report.tasks import steps_of
from spatialrun.store.store import open_store

FIGURE = "  - {id: tissue, uses: plot.spatial, with: {color: total_counts, dpi: 60}}\n"
DOMAINS = "  - {id: truth, uses: annotate.obs, with: {table: truth.csv, columns: {domain: domain}}}\n"


@pytest.fixture(scope="module")
def bench(tmp_path_factory, sections):
    """A run of two samples, one of which fails at its annotation, and what is known of it."""
    from lab import STEPS, Lab

    lab = Lab(tmp_path_factory.mktemp("report") / "lab", dict(sections), STEPS + FIGURE)
    lab.apply()
    return lab


@pytest.fixture(scope="module")
def store(bench):
    return open_store(bench.store)


@pytest.fixture(scope="module")
def run(store):
    return store.runs.latest()


@pytest.fixture(scope="module")
def page(bench, run):
    return (bench.store / "runs" / run.id / NAME).read_text()


class Outline(HTMLParser):
    """The tags of a page, checked for being closed in order."""

    VOID = ("meta", "input", "img", "link", "br", "path", "rect")

    def __init__(self, page):
        super().__init__()
        self.open, self.ids, self.links, self.sources = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        self.sources += [found["src"]] if "src" in found else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_needs_nothing_else(page):
    outline = Outline(page)
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    inside = [link[1:] for link in outline.links if link.startswith("#")]
    assert set(inside) <= set(outline.ids)
    outside = [link for link in outline.links if not link.startswith(("#", "figures/", "https://doi.org/"))]
    assert outside == []
    assert all(source.startswith("data:") for source in outline.sources)
    assert "@import" not in page
    assert "url(" not in page


def test_figures_lie_where_the_page_says(bench, run, page):
    files = [link for link in Outline(page).links if link.startswith("figures/")]
    assert files == ["figures/a/tissue.png", "figures/b/tissue.png"]
    assert all((bench.store / "runs" / run.id / file).is_file() for file in files)


def test_a_run_without_changes_writes_no_report_anew(bench, run):
    path = bench.store / "runs" / run.id / NAME
    before = path.stat().st_mtime_ns
    assert not bench.apply().changed
    assert path.stat().st_mtime_ns == before


def test_why_steps_ran_is_told(bench, tmp_path):
    lab = bench.copy(tmp_path / "again")
    lab.edit("n_svg: 10", "n_svg: 12")
    run = lab.apply().run
    steps = {step.id: step for step in steps_of(run)}
    assert steps["svg"].tasks[0].why == ("n_svg: 10 -> 12",)
    assert steps["log"].tasks[0].why == ()
    assert steps["log"].status == "cached"
    assert steps["svg"].counts == ((2, "done"),)
    page = (lab.store / "runs" / run.id / NAME).read_text()
    assert "n_svg: 10 -&gt; 12" in page


def test_the_recipe_is_named_and_stands_in_it(bench, tmp_path):
    lab = bench.copy(tmp_path / "named")
    run = lab.apply("steps.svg.with.n_svg=13").run
    page = (lab.store / "runs" / run.id / NAME).read_text()
    assert f"{lab.recipe.name} --set steps.svg.with.n_svg=13</p>" in page
    assert f"{lab.recipe.name} --set steps.svg.with.n_svg=13: run {run.id}</title>" in page
    assert "n_svg: 13" in page.partition("What was run, as one file")[2]


def test_what_went_wrong_is_told_first(tmp_path, sections):
    from lab import STEPS, Lab

    lab = Lab(tmp_path / "lab", dict(sections), STEPS)
    lab.apply()
    lab.edit("min_spots: 3", "min_spots: 119, min_counts: 100000")
    run = lab.apply().run
    assert run.status == "failed"
    page = (lab.store / "runs" / run.id / NAME).read_text()
    assert page.index("What went wrong") < page.index('id="flow"')
    (first, second) = (task for step in steps_of(run) for task in step.tasks if task.status == "failed")
    assert first.error["code"] in page
    assert {first.sample, second.sample} == {"a", "b"}
    assert next(step for step in steps_of(run) if step.id == "log").tasks[0].why == ("read a failed",)


def test_texts_of_users_are_no_markup(store, run):
    from dataclasses import replace

    evil = replace(run, samples={"a": {"group": "<script>alert(1)</script>"}, "b": {}})
    page = render(store, evil)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


class TestFlow:
    def test_steps_stand_right_of_what_they_read(self, run):
        flow = flow_of(run, steps_of(run))
        x = {box.step.id: box.x for box in flow.boxes}
        assert x["read"] < x["log"]
        assert x["read"] < x["svg"] < x["chosen"]

    def test_steps_that_are_alike_share_a_box(self, run):
        """Twenty figures of one reader would be a column of twenty boxes."""
        from dataclasses import replace

        figure = run.tasks["tissue", "a"]
        figures = {(f"gene-{n}", "a"): replace(figure, step=f"gene-{n}") for n in range(20)}
        others = {id: task for id, task in run.tasks.items() if id[0] != "tissue"}
        many = replace(run, tasks=others | figures)
        flow = flow_of(many, steps_of(many))
        (box,) = [box for box in flow.boxes if "gene" in box.step.id]
        assert box.step.id == "20 x gene"
        assert len(box.step.tasks) == 20
        assert flow.height == flow_of(run, steps_of(run)).height
        assert flow.boxes[0].step.id == "read"

    def test_boxes_neither_touch_nor_leave_the_drawing(self, run):
        flow = flow_of(run, steps_of(run))
        corners = [(box.x, box.y) for box in flow.boxes]
        assert len(set(corners)) == len(flow.boxes)
        assert all(0 <= x <= flow.width - WIDTH and 0 <= y <= flow.height - HEIGHT for x, y in corners)
        for x, y in corners:
            assert not any(x == u and 0 < abs(y - v) < HEIGHT for u, v in corners)

    def test_an_edge_that_a_longer_way_says_too_is_left_out(self, run):
        assert len(flow_of(run, steps_of(run)).paths) == 4  # read-log, read-svg, svg-chosen, and the figure's


class TestGallery:
    def test_figures_are_shown_small_enough_all_together(self, store, run, monkeypatch):
        shown = gallery.figures_of(store, run)
        assert [(figure.name, figure.sample) for figure in shown] == [("tissue", "a"), ("tissue", "b")]
        assert all(figure.data.startswith("data:image/webp;base64,") for figure in shown)
        monkeypatch.setattr(gallery, "BUDGET", 2000)
        monkeypatch.setattr(gallery, "SMALLEST_EDGE", 30)
        assert sum(len(figure.data) for figure in gallery.figures_of(store, run)) < 4000

    def test_a_figure_of_a_poster_s_size_is_shown(self, store, run, monkeypatch):
        monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 1000)
        assert all(figure.data for figure in gallery.figures_of(store, run))


class TestTables:
    def test_genes_that_were_tested_come_best_first(self, store, run):
        found = tables.tables_of(store, run)
        svg = next(table for table in found if table.title == "svg" and table.sample == "a")
        rank = svg.columns.index("spatialde.rank")
        assert [row[rank] for row in svg.rows] == list(range(1, svg.total + 1))
        assert svg.rows[0][0].startswith("SIM")

    def test_long_tables_are_cut_and_say_so(self, store, run, monkeypatch, page):
        monkeypatch.setattr(tables, "MOST_ROWS", 7)
        table = tables.tables_of(store, run)[0]
        assert len(table.rows) == 7 < table.total

    def test_all_together_have_a_budget(self, store, run, monkeypatch):
        monkeypatch.setattr(tables, "CELLS", 300)
        assert sum(len(t.rows) * len(t.columns) for t in tables.tables_of(store, run)) <= 300

    def test_they_are_json_in_the_page(self, page, store, run):
        text = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.S)[1]
        assert [table["title"] for table in json.loads(text)] == [
            t.title for t in tables.tables_of(store, run)
        ]


class TestSamples:
    def test_quality_is_that_of_the_spots(self, store, run):
        import numpy as np

        a, b = qualities_of(store, run)
        counts = np.asarray(store.element(run.slots("a")["obs/total_counts"]).read())
        assert (a.sample, b.sample) == ("a", "b")
        assert a.spots == len(counts) == 120
        assert a.counts == np.median(counts)
        assert max(a.histogram) == 1.0
        assert a.lowest == pytest.approx(counts[counts > 0].min())

    def composition(self, folder, section, labels):
        """The composition of a sample whose spots have labels, in turn."""
        import pandas as pd
        from lab import STEPS, Lab

        lab = Lab(folder / "lab", {"a": section}, STEPS.splitlines(keepends=True)[0] + DOMAINS)
        lab.root.mkdir()
        names = pd.read_csv(section / "spatial" / "tissue_positions.csv")["barcode"]
        table = pd.DataFrame({"barcode": names, "domain": list(islice(cycle(labels), len(names)))})
        table.to_csv(lab.root / "truth.csv", index=False)
        run = lab.apply().run
        (found,) = compositions_of(open_store(lab.store), run)
        return found

    def test_shares_of_domains_are_counted(self, tmp_path, sections):
        found = self.composition(tmp_path, sections["a"], ["y", "x", "x", "x"])
        assert found.column == "domain"
        shares = {share.category: share.part for share in found.samples["a"]}
        assert shares["x"] == pytest.approx(0.75, abs=0.05)
        assert sum(shares.values()) == pytest.approx(1.0)
        assert set(found.colors) == {"x", "y"}

    def test_spots_without_a_domain_are_no_domain(self, tmp_path, sections):
        """They come last and take no colour from another, which then has the one of the figures."""
        found = self.composition(tmp_path, sections["a"], ["Layer1", None, "WM", "WM"])
        assert list(found.colors.items()) == [*categorical(["Layer1", "WM"]).items(), ("NA", MISSING)]
        assert [share.category for share in found.samples["a"]] == ["Layer1", "WM", "NA"]
        assert found.samples["a"][-1].part == pytest.approx(0.25, abs=0.05)


def test_papers_are_named_once_with_their_doi(run):
    (paper,) = citations_of(steps_of(run))
    assert paper.uses == ("svg.spatialde",)
    assert paper.doi == "10.1101/2021.10.27.466045"
    assert not paper.text.endswith(("doi", ",", " "))


def test_no_path_of_the_machine_gets_into_the_run(tmp_path, sections):
    from lab import Lab

    steps = "  - {id: read, uses: read.visium}\n  - {uses: export.table, with: {path: out.csv, what: obs}}\n"
    lab = Lab(tmp_path / "lab", {"a": sections["a"]}, steps)
    lab.apply()
    (lab.root / "out.csv").unlink()
    run = lab.apply().run
    assert run.tasks["table", "a"].facts["reasons"][0]["kind"] == "destination"
    folder = lab.store / "runs" / run.id
    for name in ("manifest.json", NAME):
        assert str(tmp_path) not in (folder / name).read_text()

"""``show``, ``table`` and ``log``: what a run holds."""

from __future__ import annotations

import csv
from dataclasses import replace

import pandas as pd
import pytest
from rich.console import Console

from spatialrun.api import load
from spatialrun.cli.render_log import print_log
from spatialrun.cli.render_table import Selection, of_domain
from spatialrun.cli.show import show
from spatialrun.execute.apply import Options
from spatialrun.store.store import open_store

BY_COUNTS = "obs", "--sort", "-total_counts", "--columns", "spot,total_counts"


def test_show_lists_samples_and_slots(call, store):
    result = call("show", store)
    assert result.code == 0
    assert "p1" in result.out
    assert "layers" in result.out


def test_show_takes_a_sample_and_a_recipe(call, applied, store):
    result = call("show", store, "p2")
    assert "of size 60 " in result.out
    assert "counts <csc:i32>" in result.out
    assert call("show", applied, "p2").out == result.out


def test_show_fits_the_terminal(store, monkeypatch):
    narrow = Console(width=50, force_terminal=True, no_color=True, highlight=False, record=True)
    monkeypatch.setattr("spatialrun.cli.console.out", lambda: narrow)
    show(str(store))
    assert max(map(len, narrow.export_text().splitlines())) <= 50


def test_show_knows_no_other_sample(call, store):
    result = call("show", store, "p3")
    assert result.code == 4
    assert "error[store.unknown-name]" in result.err


def test_no_store_and_no_run(call, store, tmp_path):
    missing = call("show", tmp_path / "nowhere")
    assert missing.code == 4
    assert "error[store.missing]" in missing.err
    assert "error[store.no-run]" in call("log", store, "--run", "never").err


def test_table_sorts_and_cuts(call, store):
    result = call("table", store, "p1", *BY_COUNTS, "--head", 5)
    assert result.code == 0
    header, *rows, note = result.lines
    assert header.split() == ["spot", "total_counts"]
    depths = [int(row.split()[1]) for row in rows]
    assert len(depths) == 5
    assert depths == sorted(depths, reverse=True)
    assert note == "5 of 60 rows (--head)"


def test_table_keeps_rows_that_meet_an_expression(call, store):
    every = call("table", store, "p1", *BY_COUNTS, "--csv")
    depths = [int(row["total_counts"]) for row in csv.DictReader(every.lines)]
    assert len(depths) == 60, "CSV holds every row"
    middle = sorted(depths)[30]
    some = call("table", store, "p1", *BY_COUNTS, "--csv", "--where", f"total_counts > {middle}")
    assert len(some.lines) - 1 == sum(depth > middle for depth in depths)
    none = call("table", store, "p1", *BY_COUNTS, "--where", "total_counts < 0")
    assert none.lines[-1] == "no rows"


def test_columns_that_chose_rows_come_first(call, store):
    result = call("table", store, "p1", "obs", "--sort", "array_col", "--where", "total_counts > 0")
    assert result.lines[0].split()[:3] == ["spot", "total_counts", "array_col"]


def test_columns_of_one_family_stay_together():
    frame = pd.DataFrame({"a": [1, 2], "t.padj": [0.5, 0.1], "b": [1, 2], "t.rank": [2, 1]}, index=["x", "y"])
    chosen, total = Selection(sort="t.rank", head=1).of(frame, "var")
    assert list(chosen.columns) == ["gene", "t.rank", "t.padj", "a", "b"]
    assert (list(chosen["gene"]), total) == (["y"], 2)


def test_tables_of_uns_have_the_names_of_their_rows(call, store):
    result = call("table", store, "p1", "truth.genes", "--head", 1)
    assert "svg" in result.lines[0].split()
    assert result.lines[1].startswith("SIM")


@pytest.fixture(scope="session")
def marked(applied, tmp_path_factory):
    """The recipe with markers of the simulated domains, applied; the domains are known to it as truth."""
    path = tmp_path_factory.mktemp("marked") / "recipe.yaml"
    path.write_text(
        applied.read_text()
        + "  - {id: truth, uses: annotate.obs, with: {slot: uns/truth.spots, columns: {domain: truth}}}\n"
        + "  - {uses: markers.spagcn, with: {groupby: truth, min_in_group_fraction: 0.1, max_q: 1}}\n"
    )
    assert not load(path).apply(Options(jobs=1)).errors
    return path


def test_markers_of_a_domain(call, marked):
    result = call("table", marked, "p1", "spagcn.markers", "--domain", 1)
    assert result.code == 0
    assert result.lines[0].split()[0] == "fetched"
    assert result.lines[0].endswith("genes of domain 1 against its neighbours")
    assert result.lines[1].split() == ["gene", "pct.in", "pct.out", "fc", "q", "log10.q"]
    as_csv = call("table", marked, "p1", "spagcn.markers", "--domain", 1, "--csv")
    kept = list(csv.DictReader(as_csv.lines))
    assert result.lines[0].split()[1] == str(len(kept))
    assert "neighbours" in kept[0]
    folds = [float(row["fc"]) for row in kept]
    assert folds == sorted(folds, reverse=True)


def test_a_domain_without_markers_is_told_from_those_that_have_some():
    """None is a result, not a fault; what else there is to see is said."""
    markers = pd.DataFrame({"domain": ["10", "2", "2"], "gene": ["a", "b", "c"]})
    assert of_domain("2", markers, 2) == "fetched 2 genes of domain 2 against its neighbours"
    none = "no gene tells domain 3 from its neighbours; domains with markers: "
    assert of_domain("3", markers, 0) == none + "2 (2), 10 (1)"
    assert of_domain("3", markers[:0], 0) == none + "none"


def test_without_a_name_the_tables_are_listed(call, marked):
    result = call("table", marked, "p1")
    assert result.code == 0
    assert result.lines[:2] == ["obs", "var"]
    assert "spagcn.markers" in result.lines


def test_markers_of_an_unknown_domain(call, marked):
    result = call("table", marked, "p1", "spagcn.markers", "--domain", "17")
    assert result.code == 4
    assert "no domain '17'" in result.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nope",), 4, "error[store.unknown-name]"),
        (("obs", "--sort", "totl_counts"), 2, "unknown column 'totl_counts'; did you mean 'total_counts'?"),
        (("obs", "--columns", "spot,x"), 2, "unknown column 'x'"),
        (("obs", "--where", "total_counts >"), 2, "  | total_counts >\n  |               ^\n"),
        (
            ("obs", "--where", "totl_counts > 1"),
            2,
            "there is no column 'totl_counts'; did you mean 'total_counts'?",
        ),
        (("obs", "--head", "0"), 2, "--head"),
    ],
)
def test_table_refuses(call, store, words, code, said):
    result = call("table", store, "p1", *words)
    assert result.code == code
    assert said in result.err


def test_log_shows_tasks_with_their_lines(call, store):
    result = call("log", store)
    assert result.code == 0
    assert result.lines[0].startswith("run ")
    assert "read p1  done  read.visium" in result.out
    assert "    60 of 60 spots, 40 of 40 genes" in result.out


def test_log_says_why_tasks_were_not_come_to(store):
    run = open_store(store).runs.latest()
    why = {("depth", "p1"): "interrupted", ("depth", "p2"): "read p2"}
    tasks = {
        id: replace(run.tasks[id], status="skipped", facts={"because": said}) for id, said in why.items()
    }
    console = Console(width=100, record=True)
    print_log(console, replace(run, tasks=tasks))
    text = console.export_text()
    assert "depth p1  skipped  plot.spatial, the run was interrupted\n" in text
    assert "depth p2  skipped  plot.spatial, read p2 failed\n" in text


def test_log_of_one_task(call, store):
    result = call("log", store, "read", "p2")
    assert "read p2" in result.out
    assert "read p1" not in result.out
    assert "depth" not in result.out
    unknown = call("log", store, "raed")
    assert unknown.code == 4
    assert "unknown step 'raed'; did you mean 'read'?" in unknown.err

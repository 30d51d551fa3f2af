"""Sweeps: what the steps measured, in a table with a row for every combination and sample."""

import math

import pytest
from lab import Lab, entry

from spatialrun.cli import main
from spatialrun.errors import StoreError
from spatialrun.experiment import open_experiment

STEPS = """\
  - {{id: read, uses: read.visium}}
  - {{id: base, uses: test.failing, matrix: {{value: [1, 2]}}, with: {{flag: {flag}}}}}
  - id: judge
    uses: test.measuring
    matrix: {{source: [noted-1, noted-2]}}
    with: {{flag: {flag}, value: 3}}
"""


@pytest.fixture
def bench(lab, own_steps, sections) -> Lab:
    lab.root.mkdir()
    lab.samples = {"a": sections["a"], "b": sections["b"]}
    lab.steps = STEPS.format(flag=lab.root / "flag")
    return lab


def test_a_row_for_every_combination_and_sample(bench, capsys):
    run = bench.apply().run
    assert entry(run, "judge-noted-2").facts["combination"] == {
        "step": "judge",
        "values": {"base": {"value": 2}, "judge": {"source": "noted-2"}},
    }
    table = open_experiment(bench.store).table("_cohort", "sweep")
    assert list(table.columns) == ["value", "source", "sample", "mean", "judge.value"]
    rows = {(row["value"], row["source"], row["sample"]): row["mean"] for _, row in table.iterrows()}
    assert rows == {(v, f"noted-{v}", s): 3 * v for v in (1, 2) for s in "ab"}
    assert main(["table", str(bench.recipe), "_cohort", "sweep", "--sort", "-mean", "--head", "2"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert set(out[0].split()) == set(table.columns)
    assert {"6", "2", "noted-2"} <= set(out[1].split())

    # What was cached says what it measured, too; in other combinations than before.
    bench.edit("value: [1, 2]", "value: [2, 1, 4]")
    bench.edit("source: [noted-1, noted-2]", "source: [noted-4, noted-2]")
    run = bench.apply().run
    assert entry(run, "judge-noted-2").status == "cached"
    table = open_experiment(bench.store).table("_cohort", "sweep")
    assert sorted(table["mean"].dropna()) == [6, 6, 12, 12]
    assert sorted(table.loc[table["mean"].isna(), "sample"]) == ["a", "b"], "nothing was measured of value 1"


def test_what_is_no_number_is_none(bench):
    bench.edit("value: 3", "value: 0")
    bench.apply()
    assert all(math.isnan(value) for value in open_experiment(bench.store).table("_cohort", "sweep")["mean"])


def test_a_step_that_joins_combinations_stands_for_none_of_them(bench):
    bench.steps += f"  - {{id: both, uses: test.measuring, with: {{flag: {bench.root}, source: noted-1}}}}\n"
    given = "{path: '{sample}.csv', what: obs, columns: [noted-1, noted-2]}"
    bench.steps += f"  - {{id: table, uses: export.table, with: {given}}}\n"
    run = bench.apply().run
    assert entry(run, "both").facts["combination"]["values"] == {"base": {"value": 1}}
    assert "combination" not in entry(run, "table").facts


def test_without_a_matrix_there_is_no_sweep(applied):
    with pytest.raises(StoreError) as caught:
        open_experiment(applied.store).table("_cohort", "sweep")
    assert caught.value.code == "store.unknown-name"

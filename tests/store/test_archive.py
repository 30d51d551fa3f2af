"""Archives: each figure and table has a file of its own, and the provenance names it."""

from __future__ import annotations

import csv
import io
import json
import zipfile

import pandas as pd
import pytest

from spatialrun.slots import COHORT
from spatialrun.store.actions import ActionRecord
from spatialrun.store.archive import export_run
from spatialrun.store.entries import TaskEntry
from spatialrun.store.runs import Run
from spatialrun.values import FileBytes


@pytest.fixture
def export(store, tmp_path):
    """A function that makes a run of tasks, from their outputs by step and sample, and returns its archive.

    ``reads`` takes the tasks that there are already and returns the objects that the next one reads.
    """

    def export(tasks, reads=None):
        entries = {}
        for number, ((step, sample), values) in enumerate(tasks.items()):
            attempt, key = store.attempt(), f"{number:064x}"
            ports = {slot: f"p{port}" for port, slot in enumerate(values)}
            outputs = {slot: attempt.write(ports[slot], value) for slot, value in values.items()}
            store.actions.commit(attempt, ActionRecord(key, attempt.id, outputs))
            inputs = [["x", "uns/x", ref.digest] for ref in (reads(entries) if reads else [])]
            identity = {"inputs": inputs, "params": {}}
            entries[step, sample] = TaskEntry(step, sample, "test", "done", key, identity, outputs)
        run = Run("one", "2026-01-01T00:00:00+00:00", "done", {"p1": {}, "p2": {}}, entries)
        store.runs.save(run, "spatialrun: 1\n")
        export_run(store, run, tmp_path / "run.zip")
        with zipfile.ZipFile(tmp_path / "run.zip") as file:
            return {name: file.read(name) for name in file.namelist()}

    return export


def table(*values):
    return pd.DataFrame({"value": values}, index=[f"spot{number}" for number in range(len(values))])


def values(archive, name):
    return [int(row["value"]) for row in csv.DictReader(io.StringIO(archive[name].decode()))]


def of_kind(archive, name, kind):
    graph = json.loads(archive["ro-crate-metadata.json"])["@graph"]
    return next(e for e in graph if e.get("name") == name and e["@type"] == kind)


def files(archive):
    return {name for name in archive if name.startswith(("tables/", "figures/"))}


def test_what_a_cohort_step_writes_for_its_members_stands_with_them(export):
    outputs = {"p1:uns/truth.spots": table(1), "p2:uns/truth.spots": table(2), "uns/truth.spots": table(3)}
    archive = export({("simulate", COHORT): outputs})
    names = [f"tables/{sample}/truth.spots.csv" for sample in ("p1", "p2", COHORT)]
    assert files(archive) == set(names)
    assert [values(archive, name) for name in names] == [[1], [2], [3]]
    assert [link["@id"] for link in of_kind(archive, f"simulate {COHORT}", "CreateAction")["result"]] == names


def test_what_is_not_in_the_archive_is_named_by_its_place(export):
    archive = export({("simulate", COHORT): {"p1:uns/seed": 1, "p2:uns/seed": 2}})
    assert of_kind(archive, "p1: uns/seed", "CreativeWork")
    assert of_kind(archive, "p2: uns/seed", "CreativeWork")


def test_slots_whose_names_become_one_have_files_of_their_own(export):
    slots = ["uns/a b", "uns/a:b", "uns/a_b", "uns/A_B", "obsm/a_b", "uns/a_b-2"]
    archive = export({("one", "p1"): {slot: table(number) for number, slot in enumerate(slots)}})
    links = [link["@id"] for link in of_kind(archive, "one p1", "CreateAction")["result"]]
    assert len({name.casefold() for name in links}) == len(slots)
    assert files(archive) == set(links)
    assert [values(archive, name) for name in links] == [[number] for number in range(len(slots))]


def test_a_table_of_the_cohort_and_that_of_the_sweep_have_files_of_their_own(export, monkeypatch):
    swept = pd.DataFrame({"n": [7]})
    monkeypatch.setattr("spatialrun.store.archive.sweep", lambda _: swept)
    archive = export({("one", COHORT): {"uns/sweep": table(1)}})
    assert values(archive, "tables/_cohort/sweep.csv") == [1]
    assert archive["tables/_cohort/sweep-2.csv"] == b"n\n7\n"


def test_equal_contents_are_each_the_result_of_their_own_step(export):
    figure = FileBytes(b"png", ".png")
    tasks = {("draw", "p1"): {"figures/f": figure}, ("draw", "p2"): {"figures/f": figure}}
    archive = export(tasks)
    for sample in ("p1", "p2"):
        action = of_kind(archive, f"draw {sample}", "CreateAction")
        assert action["result"] == [{"@id": f"figures/{sample}/f.png"}]


def test_what_a_step_reads_is_the_file_that_holds_it(export):
    tasks = {("one", "p1"): {"uns/t": table(1)}, ("two", "p1"): {"uns/s": 1}}
    archive = export(tasks, lambda made: [made["one", "p1"].outputs["uns/t"]] if made else [])
    assert of_kind(archive, "two p1", "CreateAction")["object"] == [{"@id": "tables/p1/t.csv"}]

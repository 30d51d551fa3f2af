"""Bad input, end to end: each fault has its code, is found as early as can be, and leaves nothing half done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from lab import STEPS, Lab, statuses

from spatialrun.errors import RecipeErrors, StoreError
from spatialrun.store.store import create_store, open_store

MATRIX = "filtered_feature_bc_matrix.h5"
POSITIONS = "spatial/tissue_positions.csv"


@pytest.fixture
def bad(lab, tmp_path, sections) -> Path:
    """A copy of the section, to be spoilt: it is sample ``bad``, beside the sound sample ``good``."""
    shutil.copytree(sections["a"], tmp_path / "outs")
    lab.samples = {"bad": tmp_path / "outs", "good": sections["b"]}
    return tmp_path / "outs"


def rewrite(dataset: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """Spoil a dataset of the matrix."""

    def spoil(outs: Path) -> None:
        with h5py.File(outs / MATRIX, "a") as file:
            values = change(file[f"matrix/{dataset}"][:])
            del file[f"matrix/{dataset}"]
            file[f"matrix/{dataset}"] = values

    return spoil


def first(value: float) -> Callable[[np.ndarray], np.ndarray]:
    """Replace the first number."""

    def change(values: np.ndarray) -> np.ndarray:
        values = values.astype(type(value))
        values[0] = value
        return values

    return change


def positions(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    """Spoil the positions."""

    def spoil(outs: Path) -> None:
        change(pd.read_csv(outs / POSITIONS)).to_csv(outs / POSITIONS, index=False)

    return spoil


def no_spots(outs: Path) -> None:
    with h5py.File(outs / MATRIX, "a") as file:
        empty = {"barcodes": "S18", "data": "i4", "indices": "i8"}
        for name, kind in empty.items():
            del file[f"matrix/{name}"]
            file[f"matrix/{name}"] = np.array([], dtype=kind)
        file["matrix/shape"][1] = 0
        del file["matrix/indptr"]
        file["matrix/indptr"] = np.array([0])


def off_tissue(outs: Path) -> None:
    positions(lambda table: table.assign(in_tissue=0))(outs)


def truncate(name: str) -> Callable[[Path], None]:
    def spoil(outs: Path) -> None:
        content = (outs / name).read_bytes()
        (outs / name).write_bytes(content[: len(content) // 2])

    return spoil


def remove(name: str) -> Callable[[Path], None]:
    return lambda outs: (outs / name).unlink()


def same_place(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(pxl_row_in_fullres=100.0, pxl_col_in_fullres=100.0)


def nowhere(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(pxl_row_in_fullres=table["pxl_row_in_fullres"].mask(table.index == 3))


def other_barcodes(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(barcode="X" + table["barcode"])


STRUCTURE = {
    "no matrix": (remove(MATRIX), "data.missing-file"),
    "no positions": (remove(POSITIONS), "data.missing-file"),
    "no scale factors": (remove("spatial/scalefactors_json.json"), "data.missing-file"),
    "no folder": (shutil.rmtree, "data.missing-file"),
    "truncated matrix": (truncate(MATRIX), "data.bad-file"),
    "another file for a matrix": (lambda outs: (outs / MATRIX).write_text("not h5"), "data.bad-file"),
}
CONTENT = {
    "other barcodes": (positions(other_barcodes), "data.barcodes"),
    "spots without a position": (positions(lambda table: table[5:]), "data.barcodes"),
    "a position twice": (positions(lambda table: pd.concat([table, table[:1]])), "data.barcodes"),
    "half a count": (rewrite("data", first(1.5)), "data.counts"),
    "a negative count": (rewrite("data", first(-1)), "data.counts"),
    "a count that is NaN": (rewrite("data", first(float("nan"))), "data.counts"),
    "a coordinate that is NaN": (positions(nowhere), "data.coordinates"),
    "all spots at one place": (positions(same_place), "data.coordinates"),
    "no spots": (no_spots, "data.empty"),
    "no spot on tissue": (off_tissue, "data.empty"),
    "a truncated image": (truncate("spatial/tissue_hires_image.png"), "data.image"),
    "scale factors that are none": (
        lambda outs: (outs / "spatial/scalefactors_json.json").write_text("{"),
        "data.bad-file",
    ),
}


@pytest.mark.parametrize("fault", STRUCTURE)
def test_structural_faults_are_found_before_anything_is_run_or_written(lab, bad, fault):
    spoil, code = STRUCTURE[fault]
    spoil(bad)
    with pytest.raises(RecipeErrors) as caught:
        lab.apply()
    (problem,) = caught.value.problems
    line = lab.text.splitlines().index(f"  bad: {{path: {bad}}}") + 1
    column = len("  bad: {path: ") + 1
    where = problem.where
    assert problem.code == code
    assert (where.file, where.line, where.column) == (str(lab.recipe), line, column)
    assert (where.sample, where.step) == ("bad", "read")
    assert str(bad) in problem.what
    assert not lab.store.exists()


@pytest.mark.parametrize("fault", CONTENT)
def test_faults_of_content_commit_nothing_of_their_sample_and_leave_others_alone(lab, bad, fault):
    spoil, code = CONTENT[fault]
    spoil(bad)
    outcome = lab.apply()
    (error,) = outcome.errors
    assert error.code == code
    assert (error.where.step, error.where.sample) == ("read", "bad")
    assert outcome.run.status == "failed"
    assert statuses(outcome.run, "bad") == {
        "read": "failed",
        "log": "skipped",
        "svg": "skipped",
        "chosen": "skipped",
    }
    assert set(statuses(outcome.run, "good").values()) == {"done"}
    assert outcome.run.slots("bad") == {}
    assert kept(lab) == used(lab)


def kept(lab: Lab) -> set[str]:
    """Attempts whose files are in the store."""
    return {path.name for path in (lab.store / "data").iterdir()}


def used(lab: Lab) -> set[str]:
    """Attempts that a record names; of the spoilt sample, what was read whole and filtered away at most."""
    records = [json.loads(path.read_text()) for path in (lab.store / "actions").glob("*/*.json")]
    return {record["attempt"] for record in records}


def test_a_repaired_sample_is_all_that_the_next_run_computes(lab, bad, sections):
    positions(same_place)(bad)
    assert lab.apply().run.status == "failed"
    shutil.copy(sections["a"] / POSITIONS, bad / POSITIONS)
    run = lab.apply().run
    assert run.status == "done"
    assert set(statuses(run, "bad").values()) == {"done"}
    assert set(statuses(run, "good").values()) == {"cached"}


TYPOS = {
    "an unknown layer": ("n_svg: 10", "layer: count", "recipe.unwritten-read", "did you mean layers/counts?"),
    "an unknown column": (
        "[spatialde.svg]",
        "[spatialde.svq]",
        "recipe.unwritten-read",
        "var/spatialde.svg?",
    ),
    "a step type": ("svg.spatialde,", "svg.spatialed,", "recipe.unknown-step", "'svg.spatialde'"),
    "a parameter": ("n_svg: 10", "n_svgs: 10", "recipe.unknown-key", "'n_svg'"),
    "a value": ("n_svg: 10", "n_svg: many", "recipe.wrong-type", "n_svg"),
    "a bound": ("n_svg: 10", "n_svg: 0", "recipe.out-of-range", "n_svg"),
    "a sample": (
        "uses: normalize.log",
        "uses: normalize.log, samples: [goood]",
        "recipe.unknown-sample",
        "'good'",
    ),
    "YAML": ("{id: log, uses: normalize.log}", "{id: log, uses: normalize.log", "recipe.syntax", ""),
}


@pytest.mark.parametrize("typo", TYPOS)
def test_typos_are_found_before_anything_is_run_with_the_nearest_name(lab, bad, typo):
    old, new, code, near = TYPOS[typo]
    lab.edit(old, new)
    with pytest.raises(RecipeErrors) as caught:
        lab.apply()
    (problem,) = caught.value.problems
    assert problem.code == code
    assert near in f"{problem.what} {problem.hint}"
    first_line = lab.text.splitlines().index("steps:") + 2
    assert problem.where.file == str(lab.recipe)
    assert problem.where.line >= first_line
    assert problem.where.column is not None
    assert not lab.store.exists()


def newer(lab: Lab) -> None:
    create_store(lab.store)
    (lab.store / "store.json").write_text('{"spatialrun store": 99}')


def file_at(path: str) -> Callable[[Lab], None]:
    def spoil(lab: Lab) -> None:
        lab.root.mkdir()
        (lab.root / path).write_text("something of mine")

    return spoil


def folder_of_others(lab: Lab) -> None:
    lab.store.mkdir(parents=True)
    (lab.store / "thesis.docx").write_text("something of mine")


def torn_header(lab: Lab) -> None:
    create_store(lab.store)
    (lab.store / "store.json").write_text('{"spatial":')


STORES = {
    "of a newer format": (newer, "store", "store.newer-format"),
    "a file": (file_at("store"), "store", "store.not-a-store"),
    "below a file": (file_at("file"), "file/store", "store.permission"),
    "a folder of others": (folder_of_others, "store", "store.not-a-store"),
    "a torn header": (torn_header, "store", "store.not-a-store"),
}


@pytest.mark.parametrize("fault", STORES)
def test_faults_of_the_store_are_found_before_anything_is_run(lab, fault):
    spoil, place, code = STORES[fault]
    spoil(lab)
    before = lab.listing()
    events: list[object] = []
    with pytest.raises(StoreError) as caught:
        lab.apply(f"store={place}", listener=events.append)
    assert caught.value.code == code
    assert place in caught.value.where.file
    assert caught.value.hint
    assert not events
    assert lab.listing() == before


@pytest.mark.parametrize("fault", ["of a newer format", "a file", "a torn header"])
def test_faults_of_the_store_are_found_by_planning_too(lab, fault):
    spoil, place, code = STORES[fault]
    spoil(lab)
    with pytest.raises(StoreError) as caught:
        lab.plan(f"store={place}")
    assert caught.value.code == code


def test_a_last_run_that_cannot_be_read_costs_nothing_that_was_computed(applied):
    (run,) = (applied.store / "runs").iterdir()
    (run / "manifest.json").write_text("{")
    outcome = applied.apply()
    assert outcome.changed
    assert set(statuses(outcome.run).values()) == {"cached"}


def test_an_object_that_is_damaged_is_never_used_but_made_anew(applied):
    before = open_store(applied.store).runs.latest().slots("a")["layers/counts"]
    path = applied.store / before.path
    chunk = max((p for p in path.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 0xFF
    chunk.chmod(0o644)
    chunk.write_bytes(content)
    outcome = applied.apply("steps.svg.with.min_counts=11")
    assert not outcome.errors
    after = outcome.run.slots("a")["layers/counts"]
    assert (after.digest, after.path != before.path) == (before.digest, True)
    assert not path.exists()


def test_steps_is_what_the_tests_change():
    assert all(old in STEPS for old, *_ in TYPOS.values())

"""Exports that are folders: whole or not there, written again when altered, never over others' files."""

from __future__ import annotations

import pytest
from lab import Lab, codes, statuses

STEPS = """\
  - {id: simulate, uses: simulate.visium, with: {n_spots: 40, n_genes: 60, n_svg: 5, image_size: 60}}
  - {id: folder, uses: export.files, with: {path: "out/{sample}"}}
"""


@pytest.fixture
def lab(tmp_path) -> Lab:
    return Lab(tmp_path / "lab", {"a": None}, STEPS)


def test_a_folder_is_written_once(lab: Lab) -> None:
    assert lab.apply().run.status == "done"
    assert (lab.root / "out/a/outs/filtered_feature_bc_matrix.h5").is_file()
    assert not lab.apply().changed
    assert [path.name for path in (lab.root / "out").iterdir()] == ["a"]


@pytest.mark.parametrize("damage", ["missing", "altered", "added"])
def test_a_folder_that_was_altered_is_written_again(lab: Lab, damage: str) -> None:
    lab.apply()
    positions = lab.root / "out/a/outs/spatial/tissue_positions.csv"
    before = positions.read_text()
    if damage == "missing":
        positions.unlink()
    elif damage == "altered":
        positions.write_text("nothing")
    else:
        (lab.root / "out/a/more.txt").write_text("more")
    (reason,) = lab.decide("folder").reasons
    assert (reason.kind, reason.new) == ("destination", "altered")
    assert statuses(lab.apply().run) == {"simulate": "cached", "folder": "done"}
    assert positions.read_text() == before
    assert not (lab.root / "out/a/more.txt").exists()


def test_a_folder_of_others_is_left_alone(lab: Lab) -> None:
    own = lab.root / "out/a/thesis.txt"
    own.parent.mkdir(parents=True)
    own.write_text("three years")
    outcome = lab.apply()
    assert codes(outcome.errors) == ["task.export"]
    assert own.read_text() == "three years"
    assert [path.name for path in own.parents[1].iterdir()] == ["a"]

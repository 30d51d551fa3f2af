"""``init``: a recipe for what lies below some folders."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import anndata
import pytest
import yaml

from spatialrun.cli.discovery import find, unique_names
from spatialrun.experiment import open_experiment
from spatialrun.methods.simulate import simulate_visium_hd
from spatialrun.readers import visium_hd_writer
from spatialrun.steps.read import ReadVisium


@pytest.fixture
def folders(store, tmp_path) -> Path:
    """Two Space Ranger folders (one twice, under odd names), an h5ad file, and one folder that lacks a part."""
    task = open_experiment(store).run.tasks["section", "p1"]
    outs = store / task.outputs["files/spaceranger"].path / "outs"
    for name in ("data/p1/outs", "data/2 (b)/outs"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).symlink_to(outs)
    broken = tmp_path / "data" / "broken"
    (broken / "spatial").mkdir(parents=True)
    (broken / "filtered_feature_bc_matrix.h5").touch()
    open_experiment(store)["p1"].write_h5ad(tmp_path / "data" / "p1.h5ad")
    with anndata.settings.override(zarr_write_format=3):
        open_experiment(store)["p1"].write_zarr(tmp_path / "data" / "z" / "p2.zarr")
    return tmp_path / "data"


def test_the_recipe_passes_check(call, folders, monkeypatch):
    monkeypatch.chdir(folders.parent)
    result = call("init", "data/p1/outs", "data/2 (b)/outs", "data/p1.h5ad", "data/broken")
    assert result.code == 0
    assert result.lines[0] == "recipe.yaml: 3 samples"
    assert result.lines[-1] == "next  spatialrun plan recipe.yaml"
    assert "passed over data/broken: " in result.err
    text = Path("recipe.yaml").read_text()
    assert '"2-b": {path: "data/2 (b)/outs"}' in text
    assert "# " in text
    checked = call("check", "recipe.yaml")
    assert checked.out == "ok: 7 steps, 3 samples, 18 tasks\n"
    assert checked.err == ""


def test_zarr_stores_are_found(folders):
    ((zarr,), _) = find([folders / "z"])
    assert (zarr.name, zarr.uses) == ("p2", "read.zarr")
    assert "layers/counts" in zarr.slots
    assert [entry.uses for entry in find([folders / "z" / "p2.zarr"])[0]] == ["read.zarr"]


def test_visium_hd_is_one_sample(call, tmp_path, monkeypatch):
    """Of all bin sizes, and of the folder of one where that is given."""
    monkeypatch.chdir(tmp_path)
    bins = simulate_visium_hd(n_bins=40, n_genes=20, n_svg=0, image_size=32)
    outs = visium_hd_writer.write(bins, tmp_path / "brain")
    assert call("init", "brain").code == 0
    assert 'brain: {path: "brain/outs/binned_outputs"}' in Path("recipe.yaml").read_text()
    assert "- uses: read.visium_hd" in Path("recipe.yaml").read_text()
    assert "top: 6, by: spatialde.rank}, ncols: 3, shape: square}" in Path("recipe.yaml").read_text()
    assert call("check", "recipe.yaml").code == 0
    ((found,), _) = find([outs / "binned_outputs" / "square_008um"])
    assert found.uses == "read.visium_hd"
    assert found.path.name == "square_008um"


def test_bins_are_drawn_as_squares_and_spots_as_circles(call, folders, monkeypatch):
    monkeypatch.chdir(folders.parent)
    bins = simulate_visium_hd(n_bins=40, n_genes=20, n_svg=0, image_size=32)
    visium_hd_writer.write(bins, folders / "brain")
    assert call("init", "data/brain", "data/p1/outs").code == 0
    recipe = yaml.safe_load(Path("recipe.yaml").read_text())
    drawn = {step["id"]: step for step in recipe["steps"] if step["uses"] == "plot.spatial"}
    assert drawn["top_genes"]["samples"] == ["p1"]
    assert drawn["top_genes_of_bins"]["samples"] == ["brain"]
    shapes = {name: step["with"].get("shape") for name, step in drawn.items()}
    assert shapes == {"top_genes": None, "top_genes_of_bins": "square"}
    assert call("check", "recipe.yaml").code == 0
    assert call("init", "data/p1/outs", "--force").code == 0
    assert "square" not in Path("recipe.yaml").read_text()


def test_sections_beside_visium_hd_are_found(folders):
    """Whatever else lies in the folder of ``binned_outputs``."""
    bins = simulate_visium_hd(n_bins=40, n_genes=20, n_svg=0, image_size=32)
    outs = visium_hd_writer.write(bins, folders / "brain")
    outs.joinpath("binned_outputs").rename(folders / "binned_outputs")
    found, _ = find([folders])
    kinds = {entry.name: entry.uses for entry in found}
    assert kinds["data"] == "read.visium_hd"
    assert sorted(kinds.values()).count("read.visium_hd") == 1
    assert {"read.h5ad", "read.visium", "read.zarr"} < set(kinds.values())


def test_links_are_followed_but_not_in_circles(folders):
    """Sections often lie elsewhere, with a link to them; one that several links lead to is one section."""
    (folders / "p1" / "circle").symlink_to(folders)
    found, _ = find([folders])
    sections = [entry.path for entry in found if entry.uses == "read.visium"]
    assert sections == [folders / "2 (b)" / "outs"]


def test_folders_that_may_not_be_read_are_passed_over(call, folders, monkeypatch):
    """Those that may be listed but not entered, and those that may not be listed (root may do all)."""
    monkeypatch.chdir(folders.parent)
    for name in ("secret", "closed", "raw.zarr"):
        (folders / name).mkdir()
    stat, scandir = Path.stat, os.scandir

    def refused(path):
        return PermissionError(errno.EACCES, "Permission denied", str(path))

    def guarded_stat(self, **options):
        if self.parent.name in ("secret", "raw.zarr"):
            raise refused(self)
        return stat(self, **options)

    def guarded_scandir(path="."):
        if Path(path).name == "closed":
            raise refused(path)
        return scandir(path)

    monkeypatch.setattr(Path, "stat", guarded_stat)
    monkeypatch.setattr(os, "scandir", guarded_scandir)
    result = call("init", "data")
    assert result.code == 0
    for name in ("secret", "closed", "raw.zarr"):
        assert f"passed over data/{name}: Permission denied\n" in result.err
    assert "data/p1.h5ad" in Path("recipe.yaml").read_text()


def test_files_that_may_not_be_read_are_passed_over(call, folders, monkeypatch):
    monkeypatch.chdir(folders.parent)

    def refused(*_):
        raise PermissionError(errno.EACCES, "Permission denied", "positions.csv")

    monkeypatch.setattr(ReadVisium, "externals", refused)
    result = call("init", "data")
    assert result.code == 0
    assert "passed over data/2 (b)/outs: Permission denied\n" in result.err


def test_it_writes_over_nothing(call, folders, tmp_path):
    target = tmp_path / "mine.yaml"
    target.write_text("mine")
    refused = call("init", folders, "--output", target)
    assert refused.code == 2
    assert "exists" in refused.err
    assert target.read_text() == "mine"
    assert call("init", folders, "--output", target, "--force").code == 0
    assert call("check", target).code == 0


def test_nothing_found(call, tmp_path):
    empty = call("init", tmp_path, "--output", tmp_path / "r.yaml")
    assert empty.code == 2
    assert "no Space Ranger folder and no h5ad file" in empty.err
    assert not (tmp_path / "r.yaml").exists()
    assert "there is no folder" in call("init", tmp_path / "none").err


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/d/p1/outs", "/d/p2/outs"], ["p1", "p2"]),
        (["/d/a/run/outs", "/d/b/run/outs", "/d/c"], ["a-run", "b-run", "c"]),
        (["/d/p1/outs", "/d/p1.h5ad"], ["p1", "p1-2"]),
        (["/d/p 1", "/e/p(1)"], ["d-p-1", "e-p-1"]),
        (["/(", "/)"], ["sample", "sample-2"]),
        (["/d/_cohort"], ["cohort"]),
        (
            ["/d/a/outs/binned_outputs/square_008um", "/d/b/outs/binned_outputs/square_008um"],
            ["a-square_008um", "b-square_008um"],
        ),
        ([], []),
    ],
)
def test_names_tell_samples_apart(paths, names):
    assert unique_names([Path(path) for path in paths]) == names

"""``export-run``: an archive that says all that a run was, and is the same each time."""

from __future__ import annotations

import json
import zipfile

import pytest

from spatialrun.store.archive import safe
from spatialrun.store.store import open_store


@pytest.fixture
def archive(call, store, tmp_path):
    result = call("export-run", store, tmp_path / "run.zip")
    assert result.code == 0
    with zipfile.ZipFile(tmp_path / "run.zip") as file:
        return {name: file.read(name) for name in file.namelist()}


def test_it_holds_recipe_versions_manifest_figures_and_tables(archive, applied, store):
    run = open_store(store).runs.latest()
    assert archive["sources/1-recipe.yaml"].decode() == applied.read_text()
    assert archive["recipe.yaml"].decode().startswith("# recipe.yaml\nspatialrun: 1\nstore: store\n")
    assert json.loads(archive["manifest.json"])["id"] == run.id
    assert b"spatialrun==" in archive["requirements.txt"]
    assert b"numpy==" in archive["requirements.txt"]
    assert b"python==" not in archive["requirements.txt"]
    assert archive["figures/p1/depth.png"].startswith(b"\x89PNG")
    assert (
        archive["tables/p1/truth.genes.csv"].startswith(b",")
        or b"SIM" in archive["tables/p1/truth.genes.csv"]
    )
    assert b"spatialrun apply recipe.yaml" in archive["README.txt"]


def test_its_provenance_is_an_ro_crate(archive):
    crate = json.loads(archive["ro-crate-metadata.json"])
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    assert len(entities) == len(crate["@graph"]), "each is described once"
    assert crate["@context"] == "https://w3id.org/ro/crate/1.1/context"
    descriptor = entities["ro-crate-metadata.json"]
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    root = entities[descriptor["about"]["@id"]]
    assert {part["@id"] for part in root["hasPart"]} == archive.keys() - {"ro-crate-metadata.json"}
    actions = [entity for entity in crate["@graph"] if entity["@type"] == "CreateAction"]
    assert {action["name"] for action in actions} >= {"log p1", "depth p2"}
    for action in actions:
        linked = [action["instrument"], *action["object"], *action["result"]]
        assert all(link["@id"] in entities for link in linked)
    drawn = next(action for action in actions if action["name"] == "depth p1")
    assert {"@id": "figures/p1/depth.png"} in drawn["result"]


def test_the_same_run_makes_the_same_bytes(call, store, tmp_path):
    for name in ("one.zip", "two.zip"):
        call("export-run", store, tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_what_cannot_be_written(call, store, tmp_path):
    result = call("export-run", store, tmp_path / "nowhere" / "run.zip")
    assert result.code == 2
    assert "cannot be written" in result.err


@pytest.mark.parametrize(
    ("name", "fit"), [("p2-t5", "p2-t5"), ("../x", "_x"), ("a/b c", "a_b_c"), ("..", "_"), ("é:1", "__1")]
)
def test_names_are_safe_on_every_system(name, fit):
    assert safe(name) == fit

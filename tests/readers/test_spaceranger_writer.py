import numpy as np
import pandas as pd
import pytest
from profiler import frames_held

from spatialrun.methods.simulate import simulate_visium
from spatialrun.readers import simulated as simulated_reader
from spatialrun.readers import spaceranger, spaceranger_writer


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_writing_twice_gives_the_same_bytes(sample, tmp_path):
    for name in ("one", "two"):
        spaceranger_writer.write(sample, tmp_path / name, mtx=True)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_profiler_that_looks_on_changes_no_byte(tmp_path):
    sample = simulated_reader.to_sample(simulate_visium(n_spots=1200, n_genes=1500, image_size=64, seed=3))

    def written(name):
        outs = spaceranger_writer.write(sample, tmp_path / name)
        return (outs / "filtered_feature_bc_matrix.h5").read_bytes()

    alone = written("alone")
    with frames_held():
        assert [written(f"watched{n}") == alone for n in range(8)] == [True] * 8


def test_scanpy_opens_the_folder(sample, tmp_path):
    scanpy = pytest.importorskip("scanpy")
    outs = spaceranger_writer.write(sample, tmp_path)
    with pytest.warns(FutureWarning):
        found = scanpy.read_visium(outs)
    assert list(found.obs_names) == list(sample.obs_names)
    assert list(found.var_names) == list(sample.var_names)
    assert (sample.counts != found.X).nnz == 0
    np.testing.assert_allclose(found.obsm["spatial"].astype(float), sample.spatial)
    library = next(iter(found.uns["spatial"].values()))
    assert library["scalefactors"] == dict(sample.scalefactors)
    assert set(library["images"]) == {"hires", "lowres"}


def test_a_sample_without_ids_or_images(sample, tmp_path):
    from dataclasses import replace

    bare = replace(sample, var=sample.var[[]], images={}, metadata={})
    found = spaceranger.read(spaceranger.locate(spaceranger_writer.write(bare, tmp_path)))
    assert list(found.var["gene_ids"]) == list(sample.var_names)
    assert found.images == {}


def test_a_simulation_lies_beside_its_truth(simulated, tmp_path):
    outs = simulated_reader.write(simulated, tmp_path)
    found = spaceranger.read(spaceranger.locate(outs))
    assert (found.counts != simulated.counts).nnz == 0
    assert found.metadata["software_version"] == "spaceranger-3.0.0"
    spots = pd.read_csv(tmp_path / "truth_spots.csv", index_col="barcode")
    genes = pd.read_csv(tmp_path / "truth_genes.csv", index_col="gene", float_precision="round_trip")
    assert list(spots.index) == list(found.obs_names)
    assert list(genes.index) == list(found.var_names)
    np.testing.assert_array_equal(spots["domain"], simulated.domain)
    np.testing.assert_array_equal(genes["effect_size"], simulated.effect_size)
    assert genes["svg"].sum() == 12

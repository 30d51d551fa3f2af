import numpy as np
import pandas as pd
import pytest
from profiler import frames_held
from scipy import sparse

from spatialrun.methods.simulate import simulate_visium_hd, visium_hd
from spatialrun.readers import spaceranger, visium_hd_writer


@pytest.fixture
def section(monkeypatch):
    monkeypatch.setattr(visium_hd, "EVENTS_PER_BLOCK", 5_000)
    return simulate_visium_hd(n_bins=300, n_genes=50, n_svg=4, mean_counts=40, image_size=64, seed=2)


def test_it_is_a_folder_of_space_ranger(section, tmp_path):
    told = []
    outs = visium_hd_writer.write(section, tmp_path, progress=lambda *news: told.append(news))
    square = outs / "binned_outputs" / "square_008um"
    sample = spaceranger.read(spaceranger.locate(square))
    counts = sparse.vstack(list(section.counts()))
    assert (sample.counts != counts).nnz == 0
    np.testing.assert_array_equal(sample.spatial, section.spatial(section.array_row, section.array_col))
    np.testing.assert_array_equal(sample.obs["array_row"], section.array_row)
    assert sample.obs["in_tissue"].all()
    assert sample.scalefactors == section.scalefactors
    assert sample.metadata["chemistry_description"] == "Visium HD v1"
    np.testing.assert_array_equal(sample.images["hires"], section.images["hires"])
    assert len(told) > 1
    assert told[-1] == (300, 300, "bins")


def test_a_profiler_that_looks_on_changes_no_byte(monkeypatch, tmp_path):
    monkeypatch.setattr(visium_hd, "EVENTS_PER_BLOCK", 100_000)
    section = simulate_visium_hd(n_bins=2000, n_genes=1200, n_svg=4, mean_counts=200, image_size=64, seed=2)

    def written(name):
        outs = visium_hd_writer.write(section, tmp_path / name)
        return (outs / "binned_outputs/square_008um/filtered_feature_bc_matrix.h5").read_bytes()

    alone = written("alone")
    with frames_held():
        assert [written(f"watched{n}") == alone for n in range(6)] == [True] * 6


def test_all_bins_of_the_array_have_a_position(section, tmp_path):
    outs = visium_hd_writer.write(section, tmp_path)
    positions = pd.read_parquet(outs / "binned_outputs/square_008um/spatial/tissue_positions.parquet")
    assert len(positions) == section.side**2
    assert positions["in_tissue"].sum() == 300
    assert positions["barcode"].is_monotonic_increasing


def test_truth_is_by_barcode_and_gene(section):
    bins, genes = visium_hd_writer.truth(section)
    assert list(bins.index[:1]) == [section.barcodes(section.array_row, section.array_col)[0].decode()]
    assert set(bins["domain"]) == {1, 2, 3, 4, 5}
    assert genes["svg"].sum() == 4

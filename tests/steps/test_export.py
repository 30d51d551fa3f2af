from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from memory import Section
from profiler import frames_held
from pydantic import ValidationError

from spatialrun.errors import DataError
from spatialrun.steps import catalogue

TABLE, H5AD, FILES, IMAGE = (catalogue.get(f"export.{name}") for name in ("table", "h5ad", "files", "image"))


def test_best_genes(section: Section) -> None:
    section.run(TABLE, path="out/best.csv", what="var", columns=["gene_ids"], sort="score.rank", head=3)
    table = pd.read_csv(section.root / "out/best.csv", index_col="gene")
    assert list(table.columns) == ["gene_ids"]
    assert list(table.index) == ["GENE49", "GENE48", "GENE47"]


def test_all_columns_of_obs(section: Section) -> None:
    section.run(TABLE, path="obs.parquet", what="obs", sort="total_counts", descending=True)
    table = pd.read_parquet(section.root / "obs.parquet")
    assert len(table) == 96
    assert table["total_counts"].is_monotonic_decreasing
    assert isinstance(table["expert"].dtype, pd.CategoricalDtype)


def test_a_table_of_uns(section: Section) -> None:
    section.run(TABLE, path="notes.tsv", what="uns/notes")
    assert (
        section.root / "notes.tsv"
    ).read_text() == "barcode\tdomain\tdepth\nBC001-1\tb\t2.5\nBC000-1\ta\t1.0\n"


def test_unnamed_rows_are_not_written(section: Section) -> None:
    section.slots["uns/plain"] = pd.DataFrame({"a": [1, 2]})
    section.run(TABLE, path="plain.csv", what="uns/plain")
    assert (section.root / "plain.csv").read_text() == "a\n1\n2\n"


def test_the_same_bytes_twice(section: Section) -> None:
    contents = []
    for name in ("a", "b"):
        section.run(TABLE, path=f"{name}.csv.gz", what="var")
        del section.slots["exports/table"]
        contents.append((section.root / f"{name}.csv.gz").read_bytes())
    assert contents[0] == contents[1]


def test_the_same_bytes_of_hdf5_though_a_profiler_looks_on(section: Section) -> None:
    def written(name: str) -> bytes:
        section.run(H5AD, path=f"{name}.h5ad")
        del section.slots["exports/h5ad"]
        return (section.root / f"{name}.h5ad").read_bytes()

    alone = written("alone")
    with frames_held():
        assert [written(f"watched{n}") == alone for n in range(6)] == [True] * 6


def test_a_workbook(section: Section) -> None:
    contents = []
    for name in ("a", "b"):
        section.run(TABLE, path=f"{name}.xlsx", what="var", columns=["gene_ids", "score.rank"])
        del section.slots["exports/table"]
        contents.append((section.root / f"{name}.xlsx").read_bytes())
    assert contents[0] == contents[1]
    table = pd.read_excel(section.root / "a.xlsx", index_col="gene", sheet_name="table")
    assert table["score.rank"].notna().sum() == 50
    assert list(table["gene_ids"]) == list(section.slots["var/gene_ids"])


def test_rows_with_a_value(section: Section) -> None:
    section.run(TABLE, path="a.csv", what="uns/notes", where={"domain": "a"}, columns=["depth"])
    assert (section.root / "a.csv").read_text() == "barcode,depth\nBC000-1,1.0\n"


def test_rows_with_a_value_that_there_is_not(section: Section) -> None:
    with pytest.raises(DataError, match="no row of uns/notes has domain 'c'") as error:
        section.run(TABLE, path="a.csv", what="uns/notes", where={"domain": "c"})
    assert error.value.hint == "domain has: b, a"


def test_a_folder(section: Section, files: Path) -> None:
    section.slots["files/spaceranger"] = files
    section.run(FILES, path="out/copy")
    assert sorted(path.name for path in (section.root / "out/copy").iterdir()) == sorted(
        path.name for path in files.iterdir()
    )
    copied = section.root / "out/copy/outs/spatial/scalefactors_json.json"
    assert copied.read_bytes() == (files / "outs/spatial/scalefactors_json.json").read_bytes()


@pytest.mark.parametrize("name", ["tissue.png", "tissue.tif"])
def test_an_image(section: Section, name: str) -> None:
    from PIL import Image

    section.run(IMAGE, path=name, image_key="lowres")
    pixels = np.asarray(Image.open(section.root / name))
    np.testing.assert_array_equal(pixels, section.slots["images/lowres"].transpose("y", "x", "c"))


def test_absent_column(section: Section) -> None:
    with pytest.raises(DataError, match="no column 'dept'") as error:
        section.run(TABLE, path="a.csv", what="uns/notes", columns=["dept"])
    assert error.value.hint == "Did you mean 'depth'?"


@pytest.mark.parametrize(
    "params", [{"path": "a.xls", "what": "var"}, {"path": "a.csv", "what": "layers/counts"}]
)
def test_impossible_tables(params: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        TABLE.Params(**params)


def test_h5ad_opens_in_scanpy(section: Section) -> None:
    section.run(catalogue.get("normalize.log"))
    section.run(H5AD, path="out/all.h5ad", library="mine")
    sample = anndata.read_h5ad(section.root / "out/all.h5ad")
    assert sample.shape == (96, 60)
    assert set(sample.layers) == {"counts", "norm"}
    np.testing.assert_array_equal(sample.X.toarray(), section.slots["layers/lognorm"].toarray())
    assert list(sample.obs_names) == list(section.slots["axes/obs"])
    assert set(sample.var) == {"gene_ids", "chosen", "score.rank"}
    library = sample.uns["spatial"]["mine"]
    assert library["images"]["hires"].shape == (130, 130, 3)
    assert library["scalefactors"]["spot_diameter_fullres"] == 60.0
    assert list(sample.uns["notes"]["domain"]) == ["b", "a"]


def test_h5ad_is_read_back(section: Section) -> None:
    section.run(H5AD, path="all.h5ad", x="counts")
    again = Section(section.root, section.root / "all.h5ad")
    again.run(catalogue.get("read.h5ad"), in_tissue=False)
    for slot in ("obsm/spatial", "images/hires", "var/score.rank", "obs/in_tissue"):
        np.testing.assert_array_equal(again.slots[slot], section.slots[slot], err_msg=slot)

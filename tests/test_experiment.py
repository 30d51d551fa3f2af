"""Opening what a run has made: prints from the manifest alone, samples in memory or lazily, tables, images."""

import subprocess
import sys
import textwrap

import anndata
import pytest
from handmade import N_GENES, N_SPOTS, SCALEFACTORS, make_run, sample_slots

import spatialrun
from spatialrun.errors import RecipeErrors, StoreError
from spatialrun.experiment import open_experiment
from spatialrun.slots import COHORT, group_of, name_of
from spatialrun.store.digests import value_digest
from spatialrun.store.store import create_store

METADATA = {"p2-t5": {"batch": "b7", "group": "<tumor>"}, "p1-t4": {"batch": "b1"}}


@pytest.fixture(scope="module")
def samples():
    second = {slot: value for slot, value in sample_slots(1).items() if not slot.startswith("images/")}
    del second["layers/lognorm"]
    scores = sample_slots()["uns/spatialde"]
    return {"p2-t5": sample_slots(), "p1-t4": second, "failed": {}, COHORT: {"uns/scores": scores}}


@pytest.fixture(scope="module")
def place(tmp_path_factory, samples):
    """A store with two runs; read only."""
    store = create_store(tmp_path_factory.mktemp("experiment") / "store")
    make_run(store, {"p2-t5": samples["p2-t5"]}, id="run-0")
    make_run(store, samples, METADATA, id="run-1")
    return store.url


@pytest.fixture
def experiment(place):
    return open_experiment(place)


@pytest.fixture
def slots(samples):
    return samples["p2-t5"]


class TestOpening:
    def test_the_newest_run_by_default(self, place):
        assert spatialrun.open(place).run.id == "run-1"
        assert spatialrun.open(place, run="run-0").samples == ("p2-t5",)

    def test_samples_are_in_order(self, experiment):
        assert experiment.samples == tuple(experiment) == ("p2-t5", "p1-t4", "failed")
        assert len(experiment) == 3
        assert "p1-t4" in experiment
        assert COHORT not in experiment

    def test_a_recipe_stands_for_its_store(self, place, tmp_path):
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text(
            f"spatialrun: 1\nstore: {place}\nsamples: {{s: {{path: gone}}}}\nsteps: [{{uses: read.visum}}]\n"
        )
        assert spatialrun.open(recipe).run.id == "run-1"

    def test_a_recipe_that_cannot_be_read_is_told(self, tmp_path):
        with pytest.raises(RecipeErrors) as caught:
            spatialrun.open(tmp_path / "recipe.yml")
        assert caught.value.code == "recipe.missing"
        (tmp_path / "recipe.yml").write_text("samples: {}")
        with pytest.raises(RecipeErrors):
            spatialrun.open(tmp_path / "recipe.yml")

    def test_what_is_no_store_is_told(self, tmp_path):
        with pytest.raises(StoreError, match=r"store\.missing"):
            spatialrun.open(tmp_path / "store")
        (tmp_path / "data.h5ad").touch()
        with pytest.raises(StoreError, match=r"store\.not-a-store"):
            spatialrun.open(tmp_path / "data.h5ad")

    def test_a_store_without_runs_is_told(self, tmp_path):
        create_store(tmp_path)
        for run in (None, "run-7"):
            with pytest.raises(StoreError, match=r"store\.no-run"):
                spatialrun.open(tmp_path, run=run)


class TestInMemory:
    def test_a_sample_is_its_slots(self, experiment, slots):
        adata = experiment["p2-t5"]
        assert adata.shape == (N_SPOTS, N_GENES)
        assert adata.obs_names.tolist() == slots["axes/obs"].tolist()
        assert adata.var_names.tolist() == slots["axes/var"].tolist()
        for slot, value in slots.items():
            if group_of(slot) not in ("axes", "images", "figures") and slot != "uns/spatial":
                found = getattr(adata, group_of(slot))[name_of(slot)]
                assert value_digest(found) == value_digest(value), slot

    @pytest.mark.parametrize(("sample", "layer"), [("p2-t5", "lognorm"), ("p1-t4", "counts")])
    def test_x_is_lognorm_else_counts(self, experiment, sample, layer):
        adata = experiment[sample]
        assert value_digest(adata.X) == value_digest(adata.layers[layer])

    def test_changing_x_leaves_the_layer_alone(self, experiment, slots):
        adata = experiment["p2-t5"]
        adata.X.data[:] = 0
        assert value_digest(adata.layers["lognorm"]) == value_digest(slots["layers/lognorm"])

    def test_images_and_scale_factors_are_where_scanpy_looks(self, experiment, slots):
        spatial = experiment["p2-t5"].uns["spatial"]["p2-t5"]
        assert spatial["scalefactors"] == SCALEFACTORS
        assert spatial["metadata"] == {"chemistry_description": "V1"}
        for name in ("hires", "lowres"):
            expected = slots[f"images/{name}"].transpose("y", "x", "c").to_numpy()
            assert value_digest(spatial["images"][name]) == value_digest(expected)

    @pytest.mark.filterwarnings(
        *(f"ignore::{kind}Warning" for kind in ("Future", "Deprecation", "PendingDeprecation"))
    )
    def test_scanpy_draws_a_sample(self, experiment):
        import matplotlib
        import scanpy as sc

        matplotlib.use("agg")
        (axes,) = sc.pl.spatial(experiment["p2-t5"], color="spagcn.domain", show=False)
        assert axes.get_images()

    def test_a_sample_without_images_has_its_scale_factors(self, experiment):
        spatial = experiment["p1-t4"].uns["spatial"]["p1-t4"]
        assert spatial["images"] == {}
        assert spatial["scalefactors"] == SCALEFACTORS

    def test_a_sample_can_be_written_and_read_again(self, experiment, tmp_path):
        adata = experiment["p2-t5"]
        adata.write_h5ad(tmp_path / "sample.h5ad")
        assert value_digest(anndata.read_h5ad(tmp_path / "sample.h5ad").X) == value_digest(adata.X)

    def test_unknown_and_unread_samples_are_told(self, experiment):
        with pytest.raises(StoreError, match="did you mean 'p2-t5'"):
            experiment["p2-t6"]
        with pytest.raises(StoreError, match="no data in this run"):
            experiment["failed"]


class TestLazy:
    def test_matrices_are_not_read(self, experiment, slots):
        adata = experiment.lazy("p2-t5")
        assert adata.shape == (N_SPOTS, N_GENES)
        for matrix, slot in [(adata.X, "layers/lognorm"), (adata.layers["counts"], "layers/counts")]:
            assert matrix.chunks
            assert value_digest(matrix.compute()) == value_digest(slots[slot])

    def test_a_part_is_loaded(self, experiment, slots):
        part = experiment.lazy("p2-t5")[:, ["g3", "g1"]].to_memory()
        assert value_digest(part.layers["counts"]) == value_digest(slots["layers/counts"][:, [3, 1]])

    def test_blocks_are_summed(self, experiment, slots):
        blocks = experiment.lazy("p2-t5").layers["counts"].to_delayed().ravel()
        assert sum(block.compute().sum() for block in blocks) == slots["layers/counts"].sum()

    def test_a_view_that_is_gone_is_written_again(self, tmp_path, samples):
        store = create_store(tmp_path / "store")
        make_run(store, {"p2-t5": samples["p2-t5"]})
        experiment = open_experiment(store.url)
        assert experiment.view.is_dir()
        assert anndata.read_zarr(experiment.view / "tables" / "p2-t5").n_obs == N_SPOTS

    def test_unknown_samples_are_told(self, experiment):
        with pytest.raises(StoreError, match=r"store\.unknown-name"):
            experiment.lazy("x")


class TestTables:
    def test_obs_and_var(self, experiment, slots):
        obs = experiment.table("p2-t5", "obs")
        assert obs.columns.tolist() == ["total_counts", "spagcn.domain"]
        assert obs.index.tolist() == slots["axes/obs"].tolist()
        assert value_digest(obs["spagcn.domain"].array) == value_digest(slots["obs/spagcn.domain"])
        assert experiment.table("p2-t5", "var").columns.tolist() == ["gene_ids", "vst.hvg"]

    def test_a_table_of_a_sample_and_of_the_cohort(self, experiment, slots):
        expected = value_digest(slots["uns/spatialde"])
        assert value_digest(experiment.table("p2-t5", "spatialde")) == expected
        assert value_digest(experiment.table(COHORT, "scores")) == expected

    @pytest.mark.parametrize(("name", "meant"), [("spatialDE", "spatialde"), ("vars", "var"), ("ob", "obs")])
    def test_the_nearest_name_is_told(self, experiment, name, meant):
        with pytest.raises(StoreError, match=f"did you mean '{meant}'") as caught:
            experiment.table("p2-t5", name)
        assert caught.value.code == "store.unknown-name"
        assert caught.value.where.sample == "p2-t5"

    def test_what_is_no_table_is_told(self, experiment):
        with pytest.raises(StoreError, match="obs, var, spatialde"):
            experiment.table("p2-t5", "zzzz")


class TestImagesAndFigures:
    def test_an_image(self, experiment, slots):
        assert value_digest(experiment.image("p2-t5")) == value_digest(slots["images/hires"])
        assert experiment.image("p2-t5", "lowres").attrs == {"scalef": 0.1}

    def test_the_nearest_image_is_told(self, experiment):
        with pytest.raises(StoreError, match="did you mean 'lowres'"):
            experiment.image("p2-t5", "lowers")
        with pytest.raises(StoreError, match="there are: none"):
            experiment.image("p1-t4", "hires")

    def test_figures_are_files(self, experiment, slots):
        assert set(experiment.figures) == {"p2-t5/spatial", "p1-t4/spatial"}
        for path in experiment.figures.values():
            assert path.read_bytes() == slots["figures/spatial"].content


class TestPrinting:
    def test_a_sample_is_described_like_annotated_data(self, experiment):
        expected = """\
            annotated data of size 30 × 12
              obs     : total_counts <i64>  spagcn.domain <cat>
              var     : gene_ids <o>  vst.hvg <bool>
              layers  : counts <csc:i32>  lognorm <csc:f32>
              obsm    : spatial <arr:f64(2)>
              varm    : pca <arr:f32(3)>
              obsp    : connectivities <csr:f32>
              uns     : spatial  spatialde <table: 2 × 2>
              images  : hires <img:u8(3 × 200 × 210)>  lowres <img:u8(3 × 80 × 90)>
              figures : spatial <png>"""  # noqa: RUF001
        assert experiment.describe("p2-t5") == textwrap.dedent(expected)

    def test_long_lines_are_wrapped_between_entries(self, experiment):
        lines = experiment.describe("p2-t5", width=40).splitlines()
        assert "  obs     : total_counts <i64>" in lines
        assert "            spagcn.domain <cat>" in lines

    def test_a_sample_that_was_not_read_says_so(self, experiment):
        assert experiment.describe("failed") == "annotated data, not read"

    def test_the_experiment_lists_its_samples_and_what_they_share(self, place):
        expected = """\
            experiment of 3 samples, 60 spots
            run run-1: done
              p2-t5   batch b7, group <tumor>  of size 30 × 12
              p1-t4   batch b1                 of size 30 × 12
              failed                           not read
            every sample holds
              obs     : total_counts <i64>  spagcn.domain <cat>
              var     : gene_ids <o>  vst.hvg <bool>
              layers  : counts <csc:i32>
              obsm    : spatial <arr:f64(2)>
              varm    : pca <arr:f32(3)>
              obsp    : connectivities <csr:f32>
              uns     : spatial  spatialde <table: 2 × 2>
              figures : spatial <png>
            together they hold
              uns : scores <table: 2 × 2>"""  # noqa: RUF001
        assert str(open_experiment(place)) == textwrap.dedent(expected)
        assert "it holds\n  obs     : total_counts" in str(open_experiment(place, run="run-0"))

    def test_html_is_escaped(self, experiment):
        text = experiment._repr_html_()
        assert "group &lt;tumor&gt;" in text
        assert "<tumor>" not in text

    def test_a_short_form(self, experiment, place):
        assert repr(experiment) == f"<experiment {place}, run run-1: p2-t5, p1-t4, failed>"

    def test_printing_reads_no_data_and_imports_no_libraries(self, place):
        heavy = ("anndata", "pandas", "numpy", "zarr", "scipy", "xarray")
        code = f"""
            import sys, spatialrun
            experiment = spatialrun.open({place!r})
            str(experiment), repr(experiment), experiment._repr_html_(), experiment.describe("p2-t5")
            print([name for name in {heavy!r} if name in sys.modules])
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "[]"

"""The recipes that come with the project: they hold together, and do on real sections what they say."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from lab import digests
from sklearn.metrics import adjusted_rand_score

from spatialrun.api import LoadedRecipe, load
from spatialrun.cli import main
from spatialrun.errors import RecipeErrors
from spatialrun.execute.apply import Options
from spatialrun.experiment import Experiment, open_experiment
from spatialrun.methods.simulate import simulate_visium_hd
from spatialrun.readers import visium_hd_writer
from spatialrun.store.runs import Run

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
MEMORY = 4 * 10**9
COHORT = ("p1-t4", "p1-t5", "p1-t7", "p1-t10", "p2-t1", "p2-t2", "p2-t5", "p2-t6")


@pytest.fixture
def small(sections, tmp_path, monkeypatch) -> None:
    """Two small sections are what the recipes' variables name."""
    hd = visium_hd_writer.write(
        simulate_visium_hd(n_bins=900, n_genes=300, n_svg=60, n_domains=3, image_size=64), tmp_path
    )
    labels = tmp_path / "labels.csv"
    labels.write_text("barcode,layer\nBC-1,L1\n")
    for name in COHORT:
        (tmp_path / "cohort" / name).mkdir(parents=True)
        (tmp_path / "cohort" / name / "outs").symlink_to(sections["a"])
    for name, value in {
        "STORE": tmp_path / "store",
        "VISIUM": sections["a"],
        "VISIUM_1": sections["a"],
        "VISIUM_2": sections["b"],
        "LABELS": labels,
        "COHORT": tmp_path / "cohort",
        "HD": hd,
    }.items():
        monkeypatch.setenv(name, str(value))


def named(name: str, *overrides: str, profiles: tuple[str, ...] = ()) -> LoadedRecipe:
    return load(RECIPES / f"{name}.yaml", overrides, profile=profiles)


def shipped() -> list[tuple[str, tuple[str, ...]]]:
    """Every recipe as it is, and with each of its profiles."""
    found = []
    for file in sorted(RECIPES.glob("*.yaml")):
        profiles = yaml.safe_load(file.read_text(encoding="utf-8")).get("profiles", {})
        found += [(file.stem, ()), *((file.stem, (profile,)) for profile in profiles)]
    return found


@pytest.mark.parametrize(("name", "profiles"), shipped())
def test_it_holds_together(small, capsys, name, profiles):
    """As ``spatialrun check`` says, and it can be planned."""
    options = [word for profile in profiles for word in ("--profile", profile)]
    assert main(["check", str(RECIPES / f"{name}.yaml"), *options]) == 0, capsys.readouterr().err
    assert named(name, profiles=profiles).plan().tasks


@pytest.mark.parametrize("um", [2, 8, 16, 24])
def test_visium_hd_at_any_size(small, monkeypatch, um):
    """As its comments say: ``bin_um`` of any size, ``HD`` as outs, or as the folder of one size."""
    squares = Path(os.environ["HD"]) / "binned_outputs"
    for other in ("002", "016"):
        shutil.copytree(squares / "square_008um", squares / f"square_{other}um")
    assert "--set steps.read.with.bin_um=" in (RECIPES / "visium_hd.yaml").read_text(encoding="utf-8")

    def folder(*overrides: str) -> Path:
        tasks = named("visium_hd", *overrides).graph.tasks
        (read,) = (task for id, task in tasks.items() if id.step == "read")
        return read.externals["matrix"].parent

    source = {2: "square_002um", 8: "square_008um", 16: "square_016um", 24: "square_008um"}[um]
    assert folder(f"steps.read.with.bin_um={um}") == squares / source
    assert folder() == squares / "square_008um"
    monkeypatch.setenv("HD", str(squares / "square_016um"))
    assert folder() == squares / "square_016um"


def test_histology_without_the_image(data, small):
    """Said before anything runs, at the channels: the section has a lowres image only."""
    path = f"samples.section.path={data / 'dlpfc_151673' / 'outs'}"
    with pytest.raises(RecipeErrors) as raised:
        named("domains_spagcn", path, profiles=("histology",))
    (problem,) = raised.value.problems
    assert (problem.code, problem.where.slot) == ("recipe.unwritten-read", "images/hires")
    assert problem.where.snippet.splitlines()[0].endswith("channels: [hires/r, hires/g, hires/b]}}}")
    assert "did you mean images/lowres?" in problem.hint


class Real:
    """The recipes on the sections of cortex, with stores of their own."""

    def __init__(self, root: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        for variable, section in {"": "673", "_1": "673", "_2": "675"}.items():
            monkeypatch.setenv(f"VISIUM{variable}", str(data / f"dlpfc_151{section}" / "outs"))
        monkeypatch.setenv("LABELS", str(data / "dlpfc_151673" / "labels.csv"))
        self.monkeypatch = monkeypatch

    def apply(self, name: str, store: str, *overrides: str, jobs: int = 2) -> tuple[Run, Experiment]:
        self.monkeypatch.setenv("STORE", str(self.root / store))
        table = f"steps.domains_table.with.path={self.root}/{{sample}}.csv"
        outcome = named(name, table, *overrides).apply(Options(jobs=jobs, memory=MEMORY))
        assert outcome.run.status == "done", outcome.errors
        return outcome.run, open_experiment(self.root / store)


@pytest.fixture
def real(tmp_path, data, monkeypatch) -> Real:
    return Real(tmp_path, data, monkeypatch)


@pytest.mark.slow
def test_domains_of_a_labelled_section(real, only_workers):
    """With the same seed, the same digests: from two workers of one core, and from one process with all."""
    run, experiment = real.apply("domains_labelled", "store")
    for method, least in (("spagcn", 0.536), ("multispati", 0.55)):
        scores = experiment.table("section", f"{method}.scores")["value"]
        assert scores["ari"] >= least
        assert (scores["n_spots"], scores["n_unlabelled"]) == (3611, 28)
        for kind in ("domain", "refined"):
            labels = experiment["section"].obs[f"{method}.{kind}"]
            assert set(labels) == set("0123456")
            assert labels.value_counts()["0"] == labels.value_counts().max() or kind == "refined"
    drawn = {"domains", "expert_labels", "marker_genes", "metagene_map"}
    assert set(experiment.figures) == {f"section/{name}" for name in drawn}
    assert len(pd.read_csv(real.root / "section.csv")) == 3639

    again, _ = real.apply("domains_labelled", "other", jobs=1)
    assert digests(again) == digests(run)


@pytest.mark.slow
def test_histology_on_a_real_section(real):
    channels = "[lowres/r, lowres/g, lowres/b]"
    run, experiment = real.apply(
        "domains_labelled",
        "store",
        "steps.spagcn.with.histology=true",
        f"steps.spagcn.with.channels={channels}",
    )
    assert experiment.table("section", "spagcn.scores")["value"]["ari"] > 0.5
    lines = run.tasks["spagcn", "section"].facts["log"]
    assert lines[0] == "calculating adjacency matrix from spatial coords + histology image."


@pytest.mark.slow
def test_cohort_of_real_sections(real, data):
    _, experiment = real.apply("cohort_integration", "store")
    joined = []
    for sample, section in (("one", "673"), ("two", "675")):
        layer = pd.read_csv(data / f"dlpfc_151{section}" / "labels.csv", index_col=0)["layer"]
        joined.append(experiment[sample].obs.join(layer).dropna(subset="layer"))
    both = pd.concat(joined)
    for column, least in (("integrated", 0.52), ("spagcn.integrated", 0.45)):
        for name in (column, f"{column}.refined"):
            assert set(both[name]) == set("0123456")
            assert adjusted_rand_score(both["layer"], both[name]) >= least
    assert set(experiment.figures) == {"_cohort/domains", "_cohort/spagcn_domains"}


@pytest.mark.slow
def test_visium_hd_with_known_truth(tmp_path, monkeypatch):
    section = simulate_visium_hd(n_bins=6000, n_genes=2000, n_svg=400, n_domains=3, image_size=200, seed=4)
    monkeypatch.setenv("HD", str(visium_hd_writer.write(section, tmp_path)))
    monkeypatch.setenv("STORE", str(tmp_path / "store"))
    exports = [
        f"steps.svg_table.with.path={tmp_path}/{{sample}}.csv",
        f"steps.h5ad.with.path={tmp_path}/{{sample}}.h5ad",
    ]
    loaded = named("visium_hd", "defaults.n_clusters=3", *exports)
    outcome = loaded.apply(Options(jobs=1, memory=MEMORY))
    assert outcome.run.status == "done", outcome.errors
    experiment = open_experiment(tmp_path / "store")
    bins, genes = visium_hd_writer.truth(section)
    obs, var = experiment["section"].obs, experiment["section"].var
    assert adjusted_rand_score(bins["domain"][obs.index], obs["spagcn.refined"]) > 0.8
    found = var["spatialde.padj"] < 0.05
    planted = genes["svg"][var.index]
    assert planted[found].mean() > 0.8
    assert found[planted].mean() > 0.6
    assert len(experiment.figures) == 4


@pytest.mark.slow
def test_a_notebook_on_a_simulated_cohort(tmp_path, monkeypatch):
    """Both recipes, smaller: every step is done, domains are those that were simulated, the files are there."""
    from sklearn.metrics import adjusted_rand_score

    shutil.copytree(RECIPES, tmp_path / "recipes")
    monkeypatch.chdir(tmp_path)
    options = Options(jobs=2, memory=MEMORY)

    def apply(name: str, *overrides: str, profile: tuple[str, ...] = ()) -> Run:
        outcome = load(tmp_path / "recipes" / f"{name}.yaml", overrides, profile=profile).apply(options)
        assert outcome.run.status == "done", outcome.errors
        return outcome.run

    size = {"n_spots": "[400, 500]", "n_genes": 500, "n_svg": 300, "image_size": 400}
    apply("simulate_cohort", *(f"steps.simulate.with.{name}={value}" for name, value in size.items()))
    few = [
        f"steps.{step}.with.{name}=4"
        for step in ("deepst", "deepst_image")
        for name in ("pre_epochs", "epochs")
    ]
    few += [f"steps.{step}.with.pca_n_comps=30" for step in ("deepst", "deepst_image")]
    apply("spatial_domains", *few, "steps.variable.with.n_top_genes=300", profile=("quick",))

    results = tmp_path / "results" / "spatial_domains"
    experiment = open_experiment(results / "store")
    for sample in experiment:
        truth = pd.read_csv(tmp_path / "results/simulated_cohort" / sample / "truth_spots.csv", index_col=0)
        found = experiment.table(sample, "obs").join(truth)
        assert adjusted_rand_score(found["domain"], found["integrated"]) > 0.6
    markers = pd.read_csv(results / "p2-t5_markers.csv")
    assert list(markers) == ["gene", "pct.in", "pct.out", "fc", "q", "log10.q"]
    assert "LUM" in set(markers["gene"])
    assert {path.name for path in results.iterdir()} == {
        *("store", "p1-t4_hires.png", "p2-t5_svg.csv", "p2-t5_markers.csv"),
        *("integrated.h5mu", "experiment.zarr", "vitessce.json"),
    }

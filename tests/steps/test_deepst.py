"""DeepST as a step: what it declares, and what becomes of a training that is killed."""

from __future__ import annotations

import numpy as np
import pytest
from lab import Lab, digests, entry, statuses
from memory import Cohort, Section, half_of

from spatialrun.execute import isolated
from spatialrun.steps import catalogue
from spatialrun.steps.contract import Shape

SMALL = {"pca_n_comps": 12, "n_domains": 3, "pre_epochs": 20, "epochs": 10, "knn_k": 6}
STEPS = """\
  - {id: read, uses: read.visium}
  - id: deepst
    uses: domains.deepst
    with: {pca_n_comps: 12, n_domains: 3, knn_k: 6, pre_epochs: 200, epochs: 200, loss_weights: {kl: 1.0}}
"""
KILL_AT_EPOCH = """
import os, signal
import spatialrun.execute.checkpoint as stored
from spatialrun.methods.deepst import training
stored.EVERY, stored.SHARE = 0.0, 1e9
step, seen = training._Training._step, []
def fatal(self, x):
    seen.append(1)
    if len(seen) == {epoch}:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, x)
training._Training._step = fatal
"""


def test_domains_refined_domains_and_the_embedding(section: Section) -> None:
    section.run(catalogue.get("domains.deepst"), **SMALL)
    for slot in ("obs/deepst.domain", "obs/deepst.refined"):
        assert list(section.slots[slot].categories) == ["0", "1", "2"]
        assert (section.slots[slot].codes >= 0).all()
    assert section.slots["obsm/deepst.embedding"].shape == (96, 28)


def test_the_image_says_who_lends_expression(section: Section) -> None:
    rng = np.random.default_rng(0)
    section.slots["obsm/image.texture"] = rng.normal(size=(96, 4))
    section.run(catalogue.get("domains.deepst"), **SMALL, key_added="blind")
    section.run(catalogue.get("domains.deepst"), **SMALL, use_image=True, key_added="seeing")
    one, other = (section.slots[f"obsm/{name}.embedding"] for name in ("blind", "seeing"))
    assert (one != other).any()


def test_samples_share_domains(section: Section, tmp_path) -> None:
    step = catalogue.get("integrate.deepst")
    members = {"a": section, "b": half_of(section)}
    context = Cohort(tmp_path, members).run(step, **SMALL)
    for own in members.values():
        assert list(own.slots["obs/deepst.integrated"].categories) == ["0", "1", "2"]
        n_spots = len(own.slots["axes/obs"])
        assert own.slots["obsm/deepst.integrated.embedding"].shape == (n_spots, 28)
    found = [set(own.slots["obs/deepst.integrated.refined"]) for own in members.values()]
    assert found[0] | found[1] == {"0", "1", "2"}
    assert any("samples share" in line for line in context.logs)


def test_what_training_is_asked_for_does_not_prepare_expression_again() -> None:
    step = catalogue.get("domains.deepst")
    late = {
        name for name, info in step.Params.model_fields.items() if (info.json_schema_extra or {}).get("late")
    }
    assert {"n_domains", "epochs", "pre_epochs", "seed", "conv_type", "loss_weights"} <= late
    assert not {"pca_n_comps", "adjacent_weight", "use_image", "layer"} & late


def test_memory_is_linear_in_spots() -> None:
    step = catalogue.get("domains.deepst")
    one, two, three = (step.memory(Shape(n, 3000, 800 * n), step.Params()) for n in (20_000, 40_000, 60_000))
    assert three - two == pytest.approx(two - one)
    assert three < 6e9


@pytest.mark.parametrize(("n_spots", "measured"), [(1_500, 682e6), (10_000, 840e6), (50_000, 2353e6)])
def test_memory_is_as_measured(n_spots, measured) -> None:
    step = catalogue.get("domains.deepst")
    estimate = step.memory(Shape(n_spots, 2000, 400 * n_spots), step.Params())
    assert measured / 1.25 < estimate < 1.25 * measured


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n_domains": 1}, "n_domains"),
        ({"conv_type": "Conv2d"}, "conv_type"),
        ({"neighbour_k": 1}, "neighbour_k"),
    ],
)
def test_parameters_out_of_bounds(given, said) -> None:
    with pytest.raises(ValueError, match=said):
        catalogue.get("domains.deepst").Params(**given)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, sections):
    lab = Lab(tmp_path_factory.mktemp("deepst") / "lab", {"a": sections["a"]}, STEPS)
    outcome = lab.apply()
    assert outcome.run.status == "done", outcome.errors
    return digests(outcome.run)


# In both parts: before 220 no training has settled, on whatever machine.
@pytest.mark.parametrize("epoch", [151, 210])
def test_a_killed_training_goes_on_to_the_same_labels(
    undisturbed, tmp_path, sections, monkeypatch, epoch
) -> None:
    lab = Lab(tmp_path / "lab", {"a": sections["a"]}, STEPS)
    with monkeypatch.context() as patch:
        patch.setattr(isolated, "START", KILL_AT_EPOCH.format(epoch=epoch) + isolated.START)
        assert statuses(lab.apply().run) == {"read": "done", "deepst": "failed"}
    assert list((lab.store / "partial").glob("*/checkpoint.npz"))
    run = lab.apply().run
    assert f"{epoch - 1} epochs were done before" in entry(run, "deepst").facts["log"]
    assert digests(run) == undisturbed
    assert list((lab.store / "partial").iterdir()) == []

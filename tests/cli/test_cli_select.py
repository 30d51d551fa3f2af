"""``--until``, ``--only``, ``--samples`` and ``--force`` with ``plan`` and ``apply``."""

from __future__ import annotations

import json

import pytest

RECIPE = """\
spatialrun: 1
store: store
samples: {p1: {group: normal}, p2: {group: tumor}}
steps:
  - {id: section, uses: simulate.visium, with: {n_spots: 50, n_genes: 30, n_svg: 5, image_size: 64}}
  - {id: read, uses: read.visium}
  - {id: log, uses: normalize.log}
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def test_apply_brings_a_part_up_to_date(call, recipe):
    part = call("apply", recipe, "--until", "section", "--samples", "group: tumor")
    assert part.code == 0
    assert ": 1 done, 5 unselected" in part.out
    assert "6 tasks: 2 cached, 2 to run" in call("plan", recipe).out, "both samples hold the same"
    assert call("apply", recipe, "--only", "log").code == 2
    assert call("apply", recipe, "--until", "log", "--samples", "p2", "-q").code == 0
    assert "layers" in call("show", recipe, "p2").out


def test_plan_shows_the_part_and_counts_it(call, applied):
    plan = call("plan", applied, "--until", "read", "--samples", "p2", "--force", "read")
    assert plan.code == 0
    assert [line[2:].split()[:3] for line in plan.lines[1:3]] == [
        ["section", "p2", "cached"],
        ["read", "p2", "run"],
    ]
    assert "forced" in plan.lines[2]
    assert plan.lines[-1] == "2 of 10 tasks: 1 cached, 1 to run"
    assert call("plan", applied, "--only", "log").lines[-1] == "2 of 10 tasks, all cached: nothing to do"


def test_json_says_what_was_selected(call, applied):
    found = json.loads(call("plan", applied, "--json", "--only", "log").out)
    assert {task["step"] for task in found["tasks"] if task["selected"]} == {"log"}
    assert found["counts"]["cached"] == 2


def test_a_part_that_lacks_what_it_needs(call, recipe):
    for command in ("plan", "apply"):
        result = call(command, recipe, "--only", "log")
        assert result.code == 2
        assert "error[select.not-cached]: --only log needs what is not cached: read (p1, p2)" in result.err
        assert "--until log" in result.err
    assert not (recipe.parent / "store" / "latest").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--until", "raed"), "error[recipe.unknown-step]: unknown step 'raed'; did you mean 'read'?"),
        (("--samples", "p3"), "error[recipe.unknown-sample]: unknown sample 'p3'"),
        (("--until", "read", "--only", "log"), "error[usage]: --until and --only exclude each other"),
        (("--until", "read", "--force", "log"), "error[select.nothing]: --force log: it is not chosen"),
    ],
)
def test_what_cannot_be_selected(call, applied, words, said):
    result = call("plan", applied, *words)
    assert result.code == 2
    assert said in result.err

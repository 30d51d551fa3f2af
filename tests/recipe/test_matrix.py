"""Matrices: one step for every combination, with ids and outputs of its own."""

import pytest

from spatialrun.recipe.matrix import MAX_COMBINATIONS

HEAD = "spatialrun: 1\nstore: x\nsamples: {a: p}\nsteps:\n"


def steps(recipe):
    return [(step.id, dict(step.matrix or {})) for step in recipe.steps]


def test_every_combination_in_order(read):
    recipe = read(
        HEAD
        + "- uses: cluster.leiden\n  matrix: {resolution: [0.5, 1], seed: [0, 1]}\n- uses: plot.spatial\n"
    )
    assert steps(recipe) == [
        ("leiden-0.5-0", {"resolution": 0.5, "seed": 0}),
        ("leiden-0.5-1", {"resolution": 0.5, "seed": 1}),
        ("leiden-1-0", {"resolution": 1, "seed": 0}),
        ("leiden-1-1", {"resolution": 1, "seed": 1}),
        ("spatial", {}),
    ]
    first, *_, last = recipe.steps
    assert (first.base_id, last.base_id) == ("leiden", "spatial")
    assert last.matrix is None
    assert (first.params.resolution, first.params.seed, first.params.key_added) == (0.5, 0, "leiden-0.5-0")
    assert first.given == {"resolution", "seed"}
    assert first.where_of("resolution").column == 25
    assert [write.slot for write in first.step.writes(first.params, None)] == [
        "obs/leiden-0.5-0",
        "uns/leiden-0.5-0.sizes",
    ]


@pytest.mark.parametrize(
    ("step", "names"),
    [
        ("{uses: cluster.leiden, with: {key_added: mine}, matrix: {seed: [1, 2]}}", ["mine-1", "mine-2"]),
        ("{uses: cluster.leiden, matrix: {key_added: [a, b]}}", ["a", "b"]),
        ("{uses: cluster.leiden, matrix: {key_added: [a, b], seed: [1]}}", ["a", "b"]),
    ],
)
def test_names_of_outputs(read, step, names):
    recipe = read(f"{HEAD}- {step}")
    assert [entry.params.key_added for entry in recipe.steps] == names


def test_a_prefix_stays_in_front(read):
    recipe = read(HEAD + "- {uses: annotate.obs, matrix: {columns: [{a: b}, {a: c}]}}")
    first, second = recipe.steps
    assert (first.id, first.params.prefix, second.params.prefix) == ("obs-1", "1.", "2.")
    assert first.matrix == {"columns": {"a": "b"}}
    assert second.step.writes(second.params, None)[0].slot == "obs/2.c"


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        ("[counts, lognorm]", ["counts", "lognorm"]),
        ("[1, two]", ["1", "two"]),
        ("[a b, c]", ["1", "2"]),
        ("[../x, c]", ["1", "2"]),
        ("[obs:x, gene:x]", ["1", "2"]),
        (f"[{'x' * 30}, c]", ["1", "2"]),
        ("[~, c]", ["~", "c"]),
    ],
)
def test_values_that_cannot_stand_in_a_name_are_numbered(read, values, ids):
    if "~" in values:
        ids = ["1", "2"]
    recipe = read(f"{HEAD}- {{uses: plot.spatial, id: p, matrix: {{color: {values}}}}}")
    assert [step.id for step in recipe.steps] == [f"p-{id}" for id in ids]


def test_steps_wait_for_all_combinations_or_for_one(read):
    text = HEAD + "- {uses: cluster.leiden, matrix: {seed: [1, 2]}}\n- {uses: plot.spatial, after: %s}"
    assert read(text % "leiden").steps[-1].after == ("leiden-1", "leiden-2")
    assert read(text % "leiden-2").steps[-1].after == ("leiden-2",)


def test_an_override_changes_the_step_as_it_is_written(read):
    text = HEAD + "- {uses: cluster.leiden, matrix: {seed: [1, 2]}}"
    recipe = read(text, "steps.leiden.with.resolution=3", "steps.leiden.matrix.seed=[7]")
    assert [(step.id, step.params.resolution) for step in recipe.steps] == [("leiden-7", 3)]


@pytest.mark.parametrize("nothing", ["matrix: ", "matrix: ~"])
def test_no_matrix(read, nothing):
    assert read(f"{HEAD}- uses: cluster.leiden\n  {nothing}").steps[0].id == "leiden"


@pytest.mark.parametrize(
    ("matrix", "code", "column", "what"),
    [
        ("5", "wrong-type", 11, "matrix must map parameters to lists of values, found 5"),
        ("{}", "wrong-type", 11, "matrix must map parameters"),
        ("{seed: 5}", "wrong-type", 18, "seed must be a list of values, found 5"),
        ("{seed: []}", "missing-key", 18, "seed has no values"),
        ("{seed: [1, 1]}", "duplicate", 22, "the value 1 of seed is given twice"),
        ("{sed: [1, 2]}", "unknown-key", 12, "did you mean 'seed'?"),
        ("{seed: [1, two]}", "wrong-type", 22, "seed must be a whole number, found 'two'"),
        ("{resolution: [1, 2, -1]}", "out-of-range", 31, "resolution must be more than 0, found -1"),
        ("{graph: [a, b]}", "duplicate", 12, "graph stands in 'with' (line 6) and in 'matrix'"),
        ("{key_added: [a/b, c]}", "bad-name", 24, "'a/b' cannot name a slot"),
    ],
)
def test_a_fault(problem, matrix, code, column, what):
    found = problem(f"{HEAD}- uses: cluster.leiden\n  with: {{graph: g}}\n  matrix: {matrix}\n")
    assert found.code == f"recipe.{code}"
    assert what in found.what
    assert (found.where.line, found.where.column) == (7, column)


def test_other_faults_of_the_step_are_found_with_those_of_its_matrix(problems):
    found = problems(HEAD + "- uses: cluster.leiden\n  matrix: {seed: 5}\n  with: {sead: 1}\n  samples: b\n")
    assert [problem.where.line for problem in found] == [6, 7, 8]


def test_the_number_of_combinations_is_bounded(problem):
    values = ", ".join(map(str, range(40)))
    text = f"{HEAD}- uses: cluster.leiden\n  matrix: {{seed: [{values}], resolution: [{values}]}}"
    found = problem(text.replace("[0, ", "["))
    assert (found.code, found.where.line) == ("recipe.limits", 6)
    half = ", ".join(map(str, range(MAX_COMBINATIONS // 2 + 1)))
    step = f"- {{uses: cluster.leiden, id: %s, matrix: {{seed: [{half}]}}}}\n"
    found = problem(HEAD + step % "a" + step % "b")
    assert (found.code, found.where.line) == ("recipe.limits", 6)


def test_ids_that_collide(problem):
    found = problem(
        HEAD + "- {uses: cluster.leiden, matrix: {seed: [1]}}\n- {uses: plot.spatial, id: leiden-1}"
    )
    assert (found.code, found.where.line) == ("recipe.duplicate", 6)
    assert "another 'id'" in found.hint


def test_ids_that_are_too_long(problem):
    text = HEAD + f"- {{uses: plot.spatial, id: {'x' * 98}, matrix: {{color: [abc]}}}}"
    assert problem(text).code == "recipe.bad-name"

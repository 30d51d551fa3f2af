"""Profiles: laid over the recipe when asked for, checked even when not."""

import pytest

RECIPE = """\
spatialrun: 1
store: results
defaults: {seed: 1}
samples:
  p1: {path: a, group: tumor}
steps:
  - uses: cluster.leiden
    with: {resolution: 2, graph: g}
  - id: plot
    uses: plot.spatial
    with: {color: a}
    matrix: {size: [1, 2]}
profiles:
  hd:
    store: ${SCRATCH}/hd
    unsafe: conditional-writes
    defaults: {seed: 7}
    samples: {p1: {path: b}, p9: c}
    steps:
      leiden: {with: {resolution: 3}, retries: 2, timeout: 2h, samples: p9}
      plot: {matrix: {size: [9]}}
  quick:
    steps: {leiden: {with: {resolution: 1}}}
  none:
"""


def change(old, new):
    assert old in RECIPE
    return RECIPE.replace(old, new, 1)


def test_without_a_profile(read):
    recipe = read(RECIPE)
    assert (recipe.store, recipe.profiles, recipe.unsafe) == ("results", (), frozenset())
    assert [step.id for step in recipe.steps] == ["leiden", "plot-1", "plot-2"]


def test_a_profile_is_laid_over(read):
    recipe = read(RECIPE, profile="hd", SCRATCH="/s")
    assert (recipe.store, recipe.profiles) == ("/s/hd", ("hd",))
    assert recipe.unsafe == {"conditional-writes"}
    assert {name: (s.path, dict(s.metadata)) for name, s in recipe.samples.items()} == {
        "p1": ("b", {"group": "tumor"}),
        "p9": ("c", {}),
    }
    leiden, plot = recipe.steps
    assert (leiden.params.resolution, leiden.params.graph, leiden.params.seed) == (3, "g", 7)
    assert (leiden.samples, leiden.retries, leiden.timeout_s) == (("p9",), 2, 7200)
    assert (plot.id, plot.params.size, plot.params.color) == ("plot-9", 9, "a")
    assert (leiden.where.line, leiden.where_of("resolution").line) == (7, 20)


def test_the_last_of_several_wins_and_overrides_win_over_all(read):
    assert read(RECIPE, profile=["hd", "quick"], SCRATCH="/s").step("leiden").params.resolution == 1
    assert read(RECIPE, profile=("quick", "hd"), SCRATCH="/s").step("leiden").params.resolution == 3
    override = "steps.leiden.with.resolution=9"
    assert read(RECIPE, override, profile="quick").step("leiden").params.resolution == 9
    assert read(RECIPE, profile="none").store == "results"


def test_a_step_keeps_its_id_when_its_type_changes(read):
    text = change("quick:\n    steps: {leiden: {", "quick:\n    steps: {leiden: {uses: integrate.spagcn, ")
    with_graph = text.replace("    with: {resolution: 2, graph: g}\n", "")
    assert read(with_graph, profile="quick").step("leiden").uses == "integrate.spagcn"


def test_a_profile_that_there_is_not(problem):
    found = problem(RECIPE, profile="hdd", SCRATCH="/s")
    assert (found.code, found.where.file) == ("recipe.unknown-profile", "--profile hdd")
    assert found.what == "unknown profile 'hdd'; did you mean 'hd'?"
    assert found.hint == "there are: hd, quick, none"


@pytest.mark.parametrize("chosen", ["hd", ()])
@pytest.mark.parametrize(
    ("old", "new", "code", "where", "what"),
    [
        (
            "    store: ${",
            "    stroe: ${",
            "unknown-key",
            (15, 5),
            "unknown key 'stroe' of profile hd; did you mean",
        ),
        ("store: ${SCRATCH}/hd", "store: [a]", "wrong-type", (15, 12), "store must be text, found a list"),
        ("{seed: 7}", "{sead: 7}", "unknown-key", (17, 16), "did you mean 'seed'?"),
        ("{seed: 7}", "{seed: x}", "wrong-type", (17, 22), "seed must be a whole number"),
        ("{seed: 7}", "7", "wrong-type", (17, 15), "defaults must be a mapping"),
        ("p9: c", "p9: []", "wrong-type", (18, 34), "found a list"),
        ("p9: c", "p 9: c", "bad-name", (18, 30), "cannot name a sample"),
        ("      leiden:", "      lieden:", "unknown-step", (20, 7), "did you mean 'leiden'?"),
        ("{resolution: 3}", "{resolutoin: 3}", "unknown-key", (20, 23), "did you mean 'resolution'?"),
        ("{resolution: 3}", "{resolution: -3}", "out-of-range", (20, 35), "more than 0"),
        ("{resolution: 3}", "[resolution]", "wrong-type", (20, 22), "must be a mapping"),
        ("retries: 2", "retires: 2", "unknown-key", (20, 39), "did you mean 'retries'?"),
        ("retries: 2", "id: x", "unknown-key", (20, 39), "unknown key 'id' of step leiden"),
        ("samples: p9", "samples: p8", "unknown-sample", (20, 73), "unknown sample 'p8'"),
        ("{size: [9]}", "{size: 9}", "wrong-type", (21, 29), "size must be a list of values"),
        ("{matrix: {size: [9]}}", "[a]", "wrong-type", (21, 13), "step plot must be a mapping"),
        (
            "unsafe: conditional-writes",
            "unsafe: conditional",
            "unknown-key",
            (16, 13),
            "'conditional-writes'?",
        ),
    ],
)
def test_a_fault_is_found_whether_asked_for_or_not(problems, chosen, old, new, code, where, what):
    text = change(old, new)
    if "p 9" in new:
        text = text.replace(", samples: p9", "")
    (found,) = problems(text, profile=chosen, SCRATCH="/s")
    assert (found.code, (found.where.line, found.where.column)) == (f"recipe.{code}", where)
    assert what in found.what


def test_variables_of_profiles_that_are_not_asked_for_need_not_be_set(read, problem):
    assert read(RECIPE).complete
    assert problem(RECIPE, profile="hd").code == "recipe.variable"


def test_what_a_profile_lacks_may_come_from_another(read, problem):
    text = change("    with: {resolution: 2, graph: g}\n", "")
    text = text.replace("cluster.leiden", "read.table\n    id: leiden")
    text = text.replace("{resolution: 1}", "{seed: 1}").replace("{resolution: 3}", "{table: t}")
    assert problem(text).code == "recipe.missing-key"
    assert read(text, profile=["quick", "hd"], SCRATCH="s").step("leiden").params.table == "t"


@pytest.mark.parametrize(
    ("profiles", "code"),
    [
        ("[a]", "wrong-type"),
        ("{a b: {}}", "bad-name"),
        ("{a: 3}", "wrong-type"),
        ("{a: {steps: [b]}}", "wrong-type"),
    ],
)
def test_profiles_that_are_none(problem, profiles, code):
    assert problem(RECIPE.partition("profiles:")[0] + f"profiles: {profiles}").code == f"recipe.{code}"


def test_too_many(problem):
    many = ", ".join(f"p{n}: {{}}" for n in range(21))
    assert problem(RECIPE.partition("profiles:")[0] + f"profiles: {{{many}}}").code == "recipe.limits"


@pytest.mark.parametrize("override", ["profiles.hd.store=x", "include=x"])
def test_overrides_do_not_reach_what_is_merged_before_them(problem, override):
    assert problem(RECIPE, override).code == "recipe.override"

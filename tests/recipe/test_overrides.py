"""An override is the same edit in the file, and its problems name it."""

import pytest

RECIPE = """\
spatialrun: 1
store: results
samples:
  p2-t5: {path: a, batch: b1}
  p2.t6: b
steps:
  - id: svg
    uses: svg.spatialde
  - id: svg.2
    uses: svg.spatialde
    with: {n_svg: 5, kernels: [{scale: 1}]}
  - uses: plot.spatial
"""


@pytest.mark.parametrize(
    ("override", "old", "new"),
    [
        ("store=s3://x/y", "results", "s3://x/y"),
        ("store='a=b'", "results", "a=b"),
        ("defaults.seed=3", "store:", "defaults: {seed: 3}\nstore:"),
        ("steps.svg.with.n_svg=800", "uses: svg.spatialde", "uses: svg.spatialde\n    with: {n_svg: 800}"),
        ("steps.svg.2.with.n_svg=1e1", "n_svg: 5", "n_svg: 1e1"),
        ("steps.svg.2.with.n_svg=7", "n_svg: 5", "n_svg: 7"),
        ("steps.'svg.2'.with.n_svg=7", "n_svg: 5", "n_svg: 7"),
        ("steps.svg.2.with={n_svg: 7}", "{n_svg: 5, kernels: [{scale: 1}]}", "{n_svg: 7}"),
        ("steps.spatial.with.color=no", "plot.spatial", "plot.spatial\n    with: {color: no}"),
        (
            "steps.spatial.with.labels.a.b=c",
            "plot.spatial",
            "plot.spatial\n    with: {labels: {a: {b: c}}}",
        ),
        ("steps.spatial.samples=[p2-*]", "plot.spatial", "plot.spatial\n    samples: [p2-*]"),
        ("steps.svg.id=other", "id: svg\n", "id: other\n"),
        ("samples.p2-t5.path=c", "path: a", "path: c"),
        ("samples.p2-t5.group=no", "batch: b1", "batch: b1, group: no"),
        ("samples.p2-t5=c", "{path: a, batch: b1}", "c"),
        ("samples.p2.t6.path=c", "p2.t6: b", "p2.t6: c"),
        ("samples.p2.t6.batch=3", "p2.t6: b", "p2.t6: {path: b, batch: 3}"),
        ("samples.new.path=c", "steps:", "  new: {path: c}\nsteps:"),
        ('samples."new.one".path=c', "steps:", "  new.one: {path: c}\nsteps:"),
    ],
)
def test_the_same_edit_in_the_file(read, override, old, new):
    edited = RECIPE.replace(old, new, 1)
    assert edited != RECIPE

    def outcome(*args):
        try:
            recipe = read(*args)
        except Exception as error:
            return [(problem.code, problem.what) for problem in error.problems]
        samples = [(s.name, s.path, dict(s.metadata)) for s in recipe.samples.values()]
        steps = [(s.id, s.params, s.given, s.samples, s.after) for s in recipe.steps]
        return recipe.store, dict(recipe.defaults), samples, steps

    assert outcome(RECIPE, override) == outcome(edited)


@pytest.mark.parametrize(
    ("override", "code", "what"),
    [
        ("nothing", "recipe.override", "not of the form"),
        ("=3", "recipe.override", "not of the form"),
        ("steps..x=3", "recipe.override", "not of the form"),
        ("stor=x", "recipe.override", "did you mean 'store'?"),
        ("steps.svgs.with.n_svg=3", "recipe.override", "did you mean 'svg'?"),
        ("steps.svg.wiht.n_svg=3", "recipe.override", "did you mean 'with'?"),
        ("steps.svg.with.n_svgs=3", "recipe.override", "did you mean 'n_svg'?"),
        ("steps.svg.2.with.kernels.0=3", "recipe.override", "cannot be set in a list"),
        ("store=[1", "recipe.override", "not closed"),
        ("store={a: 1, a: 2}", "recipe.override", "given twice"),
        ("store=!!python/name:os.system", "recipe.override", "cannot stand here"),
        ("store=", "recipe.wrong-type", "store must be text, found nothing"),
        ("store=${NO}", "recipe.variable", "NO is not set"),
        ("steps.svg.with.n_svg=0", "recipe.out-of-range", "n_svg must be at least 1 (genes), found 0"),
        ("steps.svg.with.n_svg=many", "recipe.wrong-type", "n_svg must be a whole number, found 'many'"),
        ("steps.svg.uses=svg.moran", "recipe.unknown-step", "unknown step type 'svg.moran'"),
        ("defaults.sead=3", "recipe.override", "did you mean 'seed'?"),
        ("samples.new one.path=3", "recipe.bad-name", "'new one' cannot name a sample"),
    ],
)
def test_problems_point_to_the_override(problem, override, code, what):
    found = problem(RECIPE, override)
    assert found.code == code
    assert what in found.what
    where = found.where
    assert (where.file, where.line, where.column, where.snippet) == (f"--set {override}", None, None, None)


def test_overrides_apply_in_turn(read):
    recipe = read(RECIPE, "store=a", "store=b", "steps.svg.id=x", "steps.x.with.n_svg=9")
    assert recipe.store == "b"
    assert recipe.step("x").params.n_svg == 9


def test_an_alias_is_changed_in_one_place(read):
    text = RECIPE.replace("p2-t5: {", "p2-t5: &s {").replace("p2.t6: b", "p2.t6: *s")
    recipe = read(text, "samples.p2-t5.batch=new")
    assert [sample.metadata["batch"] for sample in recipe.samples.values()] == ["new", "b1"]

"""Parameters of a step: every fault in plain words, at the value."""

import pytest

HEAD = "spatialrun: 1\nstore: x\nsamples: {a: p}\nsteps:\n"


def step(uses, parameters):
    return f"{HEAD}- uses: {uses}\n  with: {{{parameters}}}\n"


@pytest.mark.parametrize(
    ("parameters", "code", "column", "what"),
    [
        ("n_svg: x", "wrong-type", 17, "n_svg must be a whole number, found 'x'"),
        ("n_svg: '5'", "wrong-type", 17, "n_svg must be a whole number, found '5'"),
        ("n_svg: 5.0", "wrong-type", 17, "n_svg must be a whole number, found 5.0"),
        ("n_svg: true", "wrong-type", 17, "n_svg must be a whole number, found true"),
        ("n_svg: ", "wrong-type", 16, "n_svg must be a whole number, found nothing"),
        ("n_svg: [5]", "wrong-type", 17, "n_svg must be a whole number, found a list"),
        ("n_svg: 0", "out-of-range", 17, "n_svg must be at least 1 (genes), found 0"),
        ("threshold: 1", "out-of-range", 21, "threshold must be less than 1, found 1"),
        ("threshold: 0.0", "out-of-range", 21, "threshold must be more than 0, found 0.0"),
        ("threshold: {}", "wrong-type", 21, "threshold must be a number, found a mapping"),
        ("robust: yes", "wrong-type", 18, "robust must be true or false, found 'yes'; did you mean true?"),
        ("robust: 1", "wrong-type", 18, "robust must be true or false, found 1"),
        ("layer: [a]", "wrong-type", 17, "layer must be text, found a list"),
        ("layer: ~", "wrong-type", 17, "layer must be text, found nothing"),
        (
            "obs_dist: norma",
            "wrong-type",
            20,
            "obs_dist must be 'normal' or 'negative_binomial', found 'norma'; did you mean 'normal'?",
        ),
        (
            "n_svgs: 5",
            "unknown-key",
            10,
            "unknown parameter 'n_svgs' of svg.spatialde; did you mean 'n_svg'?",
        ),
        ("zzz: 5", "unknown-key", 10, "unknown parameter 'zzz' of svg.spatialde"),
        ("kernels: 5", "wrong-type", 19, "kernels must be a list, found 5"),
        ("kernels: [5]", "wrong-type", 20, "kernels[0] must be a mapping, found 5"),
        (
            "kernels: [{scale: 1}, {scale: -1}]",
            "out-of-range",
            40,
            "kernels[1].scale must be more than 0, found -1",
        ),
        (
            "kernels: [{scale: 1, knid: gauss}]",
            "unknown-key",
            31,
            "unknown key 'knid' of kernels of svg.spatialde; did you mean 'kind'?",
        ),
        ("kernels: [{kind: gauss}]", "missing-key", 20, "kernels[0].scale is missing"),
        (
            "kernels: [{scale: 1, size: 2}]",
            "unknown-key",
            31,
            "unknown key 'size' of kernels of svg.spatialde",
        ),
        (
            "kernels: [{scale: 1}, {scale: 1}, {scale: 1}, {scale: 1}]",
            "out-of-range",
            19,
            "kernels must have at most 3 entries",
        ),
    ],
)
def test_a_fault(problem, parameters, code, column, what):
    found = problem(step("svg.spatialde", parameters))
    assert (found.code, found.what) == (f"recipe.{code}", what)
    assert (found.where.line, found.where.column, found.where.step) == (6, column, "spatialde")


@pytest.mark.parametrize(
    ("parameters", "code", "column", "what"),
    [
        ("color: {a: b}", "wrong-type", 17, "color must be text or a list, found a mapping"),
        ("color: [a, [b]]", "wrong-type", 21, "color[1] must be text, found a list"),
        ("size: big", "wrong-type", 16, "size must be 'auto' or a number, found 'big'"),
        (
            "size: atuo",
            "wrong-type",
            16,
            "size must be 'auto' or a number, found 'atuo'; did you mean 'auto'?",
        ),
        ("xrange: 5", "wrong-type", 18, "xrange must be a list, found 5"),
        ("xrange: [1, b]", "wrong-type", 22, "xrange[1] must be a number, found 'b'"),
        ("xrange: [1]", "missing-key", 18, "xrange[1] is missing"),
        ("xrange: [1, 2, 3]", "out-of-range", 18, "xrange must have at most 2 entries"),
        ("xrange: [2, 1]", "out-of-range", None, "plot.spatial: xrange must run from low to high"),
        ("labels: {a: [b]}", "wrong-type", 22, "labels.a must be text, found a list"),
    ],
)
def test_a_fault_of_a_choice_of_types(problem, parameters, code, column, what):
    found = problem(step("plot.spatial", parameters))
    assert (found.code, found.what) == (f"recipe.{code}", what)
    assert (found.where.line, found.where.column) == ((5, 9) if column is None else (6, column))


def test_a_missing_parameter_is_explained(problem):
    found = problem(f"{HEAD}- uses: read.table\n")
    assert (found.code, found.what) == ("recipe.missing-key", "read.table needs the parameter 'table'")
    assert (found.where.line, found.where.column) == (5, 9)
    assert found.hint == "The table's file."


def test_every_fault_of_a_step_at_once(problems):
    found = problems(step("svg.spatialde", "n_svg: 0, robust: 3, layer: [], kernels: [{scale: 0}, 7]"))
    assert [problem.where.column for problem in found] == [17, 28, 38, 60, 64]


@pytest.mark.parametrize(
    ("parameters", "name", "value"),
    [
        ("color: 3", "color", "3"),
        ("color: [1, 2.50, no, CSTB]", "color", ["1", "2.50", "no", "CSTB"]),
        ("color: ~", "color", None),
        ("labels: {1: 2, x: true}", "labels", {"1": "2", "x": "true"}),
        ("xrange: [1, 2e3]", "xrange", (1.0, 2000.0)),
        ("size: 3", "size", 3.0),
        ("size: auto", "size", "auto"),
    ],
)
def test_plain_values_are_taken_as_text_where_text_is_expected(read, parameters, name, value):
    assert getattr(read(step("plot.spatial", parameters)).steps[0].params, name) == value


def test_a_shared_number_is_text_in_one_place_only(read):
    text = step("svg.spatialde", "n_svg: &n 5, layer: *n")
    params = read(text).steps[0].params
    assert (params.n_svg, params.layer) == (5, "5")


def test_a_wrong_default_is_reported_once(problem):
    text = (
        HEAD.replace("store", "defaults: {seed: x}\nstore") + "- uses: svg.spatialde\n- uses: svg.spatialde\n"
    )
    found = problem(text)
    assert (found.what, found.where.line) == ("seed must be a whole number, found 'x'", 2)

"""The text of what was really run: one file that reads as the same recipe, and holds no secret."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialrun.recipe import load, loads
from spatialrun.recipe.emitter import emit, written
from spatialrun.recipe.redaction import redacted, redacted_value

INCLUDED = """\
samples: {p2: {path: ../data/p2, batch: 007}}
defaults: {seed: 1e3}
steps:
  - {uses: read.visium}
  - {id: labels, uses: annotate.obs, with: {table: labels.csv}}
"""
RECIPE = """\
# a comment
spatialrun: 1
include: common/base.yaml
store: results
samples: {p1: {path: "${DATA:-here}/p1", group: 'no', note: "a: b # c", n: '5', empty: null}}
steps:
  - uses: normalize.log
  - id: svg
    uses: svg.spatialde
    with: {obs_dist: negative_binomial}
    matrix: {n_svg: [10, 20]}
profiles:
  few: {steps: {svg: {matrix: {n_svg: [1, 2]}}}}
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "base.yaml").write_text(INCLUDED)
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def facts(recipe):
    return [(s.id, s.base_id, s.uses, s.params, s.samples, s.matrix) for s in recipe.steps], [
        (s.name, s.path, dict(s.metadata)) for s in recipe.samples.values()
    ]


@pytest.mark.parametrize("profile", [(), "few"])
def test_it_reads_as_the_same_recipe(file, profile):
    recipe = load(file, profile=profile, overrides=["steps.labels.with.prefix=x.", "samples.p2.batch=07"])
    text = emit(recipe)
    assert "include" not in text
    assert "profiles" not in text
    again = loads(text, base=file.parent)
    assert facts(again) == facts(recipe)
    assert emit(again).splitlines()[1:] == text.splitlines()[1:]


def test_the_first_line_says_what_was_asked_for(file):
    recipe = load(file, profile="few")
    first, second = emit(recipe, {"profile": ["few"], "set": ["a.b=c\nd: e"]}).splitlines()[:2]
    assert first == "# recipe.yaml --profile few --set 'a.b=c d: e'"
    assert second == "spatialrun: 1"


def test_paths_of_included_files_are_those_of_the_recipe(file):
    text = emit(load(file))
    assert "path: data/p2" in text
    assert "table: common/labels.csv" in text
    assert "${DATA:-here}/p1" in text, "variables stay variables"


def test_the_files_are_kept_as_they_were_written(file):
    assert written(load(file)) == {"1-recipe.yaml": RECIPE, "2-base.yaml": INCLUDED}


@settings(max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12))
def test_any_text_stays_itself(text):
    quoted = "'" + text.replace("'", "''") + "'"
    head = "spatialrun: 1\nstore: s\nsamples: {a: {path: p, note: "
    recipe = loads(f"{head}{quoted}}}}}\nsteps: [{{uses: normalize.log}}]\n")
    again = loads(emit(recipe))
    assert again.samples["a"].metadata == recipe.samples["a"].metadata


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("path: s3://key:hidden@bucket/x", "path: s3://REDACTED@bucket/x"),
        ("path: https://h/x?sv=1&sig=hidden&b=2", "path: https://h/x?sv=1&sig=REDACTED&b=2"),
        ("{group: a, api_token: hidden, n: 1}", "{group: a, api_token: REDACTED, n: 1}"),
        ("  AWS_SECRET_ACCESS_KEY: 'hid den'\nnext: 1", "  AWS_SECRET_ACCESS_KEY: REDACTED\nnext: 1"),
        ("samples.p.password=hidden", "samples.p.password=REDACTED"),
        ("key_added: spatialde", "key_added: spatialde"),
        ("path: s3://bucket/a@b/c", "path: s3://bucket/a@b/c"),
    ],
)
def test_secrets_are_left_out(text, kept):
    assert redacted(text) == kept
    assert "hid" not in redacted(text)


def test_what_is_no_secret_stays():
    assert redacted_value("group", "tumor") == "tumor"
    assert redacted_value("batch", 7) == 7
    assert redacted_value("Api-Token", 7) == "REDACTED"


def test_a_text_without_secrets_is_a_recipe_still(file):
    recipe = load(file, overrides=["samples.p1.token=hidden value"])
    text = emit(recipe)
    assert "hidden" not in text
    assert loads(text, base=file.parent).samples["p1"].metadata["token"] == "REDACTED"

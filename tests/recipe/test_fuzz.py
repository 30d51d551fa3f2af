"""Whatever a recipe holds, nothing but RecipeErrors leaves the loader."""

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spatialrun.errors import RecipeErrors

RECIPE = """\
spatialrun: 1
include: [common.yaml]
store: ${HOME:-x}/results
unsafe: [conditional-writes]
defaults: {seed: 42}
samples:
  p2-t5: {path: data/outs, batch: b7}
  other: &o outs
steps:
  - id: svg
    uses: svg.spatialde
    samples: [p2-*, other]
    with: {n_svg: 50, threshold: 1e-3, kernels: [{scale: 1.5, kind: gauss}]}
  - uses: plot.spatial
    after: svg
    with:
      color: [a, 1]
      xrange: [1, 2]
  - {uses: read.table, with: {table: *o}}
  - uses: cluster.leiden
    matrix: {resolution: [0.5, 1], seed: [1, 2]}
    samples: [{batch: [b7, 8]}, common]
    after: spatial
    retries: 2
    timeout: 1h30m
profiles:
  hd:
    store: hd
    defaults: {seed: 3}
    samples: {p2-t5: {path: hd}, new: x}
    steps:
      svg: {with: {n_svg: 5}, matrix: {layer: [a, b]}}
      leiden: {samples: new, timeout: ~}
"""
COMMON = """\
include: nested/more.yaml
defaults: {threshold: 0.01}
samples: {common: {path: c, batch: 8}}
steps: [uses: annotate.obs]
"""
MORE = "samples: {p2-t5: {group: tumor}}\nprofiles: {hd: {steps: {obs: {with: {prefix: x.}}}}}\n"
INDICATORS = [
    *":-[]{}#&*!|>'\"%@`,?\n\t \r",
    "  ",
    "- ",
    ": ",
    "<<: *o",
    "&o ",
    "*o",
    "!!str ",
    "---\n",
    "...\n",
]
ODD = ["!!python/name:os ", "${A}", "${", "%YAML 9\n", "\u2028", "\x00", "\ufeff", "é", "\U0001f9ec"]
ESCAPES = [r'"\U99999999"', r'"\ud800"', r'"\0"']
SCALARS = ["1e999", ".nan", "-.inf", "0x", "9" * 30, "~", "null", "true", "007"]
WORDS = [
    "include",
    "matrix",
    "profiles",
    "unsafe",
    "timeout",
    "spatialrun",
    "steps",
    "samples",
    "with",
    "uses",
    "id",
    "svg.spatialde",
    "_cohort",
]
PIECES = st.sampled_from([*INDICATORS, *ODD, *ESCAPES, *SCALARS, *WORDS])
CALM = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the folder of the recipe, with what it includes."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "common.yaml").write_text(COMMON)
    (folder / "nested").mkdir()
    (folder / "nested" / "more.yaml").write_text(MORE)
    return folder


@pytest.fixture
def attempt(read, folder):
    def attempt(text, *overrides):
        for profile in ((), "hd"):
            with suppress(RecipeErrors):
                read(text, *overrides, profile=profile, base=folder)

    return attempt


def changed(data, text):
    """Return the text with some of its pieces changed."""
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        stop = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(PIECES | st.text(max_size=5)) + text[stop:]
    return text


@CALM
@given(text=st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_any_text(attempt, text):
    attempt(text)


@CALM
@given(data=st.data())
def test_a_recipe_with_pieces_changed(attempt, data):
    attempt(changed(data, RECIPE))


@CALM
@given(data=st.data())
def test_an_included_file_with_pieces_changed(attempt, folder, data):
    (folder / "changed.yaml").write_bytes(changed(data, COMMON).encode("utf-8", "surrogatepass"))
    attempt(RECIPE.replace("common.yaml", "changed.yaml"))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | PIECES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | PIECES, inner, max_size=3)
    ),
    max_leaves=6,
)


@CALM
@given(data=st.data())
def test_a_recipe_with_values_of_any_kind(attempt, data):
    places = ["spatialrun", "store", "defaults", "samples", "samples.p2-t5", "steps", "steps.svg"]
    places += [f"steps.svg.{key}" for key in ("id", "uses", "with", "samples", "after")]
    places += [f"steps.svg.with.{key}" for key in ("n_svg", "layer", "kernels", "obs_dist", "robust")]
    places += [f"steps.spatial.with.{key}" for key in ("color", "xrange", "size", "labels")]
    places += ["steps.table.with.table", "steps.table.with.others"]
    places += ["unsafe", "samples.p2-t5.batch", "steps.svg.samples.batch"]
    places += [f"steps.leiden.{key}" for key in ("matrix", "matrix.seed", "retries", "timeout", "after")]
    place = data.draw(st.sampled_from(places))
    attempt(RECIPE, f"{place}={json.dumps(data.draw(VALUES), ensure_ascii=False)}")


NEW_VALUES = [
    *("[common.yaml]", "[conditional-writes]", "{resolution: [0.5, 1], seed: [1, 2]}", "[0.5, 1]"),
    *("[{batch: [b7, 8]}, common]", "[b7, 8]", "1h30m", "{seed: 3}", "{path: hd}", "{n_svg: 5}"),
    *("{layer: [a, b]}", "{samples: new, timeout: ~}", "store: hd", "  svg: {with", "  hd:"),
]


@CALM
@given(data=st.data())
def test_keys_with_values_of_any_kind(attempt, data):
    old = data.draw(st.sampled_from(NEW_VALUES))
    assert old in RECIPE
    new = data.draw(PIECES | VALUES.map(lambda value: json.dumps(value, ensure_ascii=False)))
    attempt(RECIPE.replace(old, new, 1))


@CALM
@given(override=st.one_of(st.text(), st.lists(PIECES | st.sampled_from(["=", ".", "svg"])).map("".join)))
def test_any_override(attempt, override):
    attempt(RECIPE, override)


@pytest.mark.parametrize("profile", [(), "hd"])
def test_the_recipe_itself_is_sound(read, folder, profile):
    assert read(RECIPE, profile=profile, base=folder).complete

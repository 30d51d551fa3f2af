"""Whatever a recipe holds, nothing but RecipeErrors leaves the loader."""

import json
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spatialrun.errors import RecipeErrors

RECIPE = """\
spatialrun: 1
store: ${HOME:-x}/results
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
"""
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
WORDS = ["spatialrun", "steps", "samples", "with", "uses", "id", "svg.spatialde", "_cohort"]
PIECES = st.sampled_from([*INDICATORS, *ODD, *ESCAPES, *SCALARS, *WORDS])
CALM = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def attempt(read, text, *overrides):
    with suppress(RecipeErrors):
        read(text, *overrides)


@CALM
@given(text=st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_any_text(read, text):
    attempt(read, text)


@CALM
@given(data=st.data())
def test_a_recipe_with_pieces_changed(read, data):
    text = RECIPE
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        stop = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(PIECES | st.text(max_size=5)) + text[stop:]
    attempt(read, text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | PIECES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | PIECES, inner, max_size=3)
    ),
    max_leaves=6,
)


@CALM
@given(data=st.data())
def test_a_recipe_with_values_of_any_kind(read, data):
    places = ["spatialrun", "store", "defaults", "samples", "samples.p2-t5", "steps", "steps.svg"]
    places += [f"steps.svg.{key}" for key in ("id", "uses", "with", "samples", "after")]
    places += [f"steps.svg.with.{key}" for key in ("n_svg", "layer", "kernels", "obs_dist", "robust")]
    places += [f"steps.spatial.with.{key}" for key in ("color", "xrange", "size", "labels")]
    places += ["steps.table.with.table", "steps.table.with.others"]
    place = data.draw(st.sampled_from(places))
    attempt(read, RECIPE, f"{place}={json.dumps(data.draw(VALUES), ensure_ascii=False)}")


@CALM
@given(override=st.one_of(st.text(), st.lists(PIECES | st.sampled_from(["=", ".", "svg"])).map("".join)))
def test_any_override(read, override):
    attempt(read, RECIPE, override)


def test_the_recipe_itself_is_sound(read):
    assert read(RECIPE).complete

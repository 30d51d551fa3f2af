"""From text to nodes: what scalars mean, where they stand, and what is refused."""

import math
from unittest import mock

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spatialrun.errors import RecipeError
from spatialrun.recipe import composer
from spatialrun.recipe.composer import MAX_BYTES, MAX_DEPTH, MAX_NODES, Budget, compose
from spatialrun.recipe.nodes import ListNode, MapNode, ScalarNode, describe
from spatialrun.recipe.problems import Problems
from spatialrun.recipe.source import Source


def parse(text):
    problems = Problems()
    node = compose(Source("r.yaml", text), problems)
    assert not problems
    return node


def refused(text):
    with pytest.raises(RecipeError) as caught:
        parse(text)
    where = caught.value.where
    return caught.value.code, where.line, where.column, caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("12:30:15", "12:30:15"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("007", "007"),
        ("true", True),
        ("'true'", "true"),
        ("~", None),
        ("null", None),
        ("5", 5),
        ("-5", -5),
        ("0x1F", 31),
        ("0o17", 15),
        ("1e-3", 1e-3),
        ("1E3", 1e3),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.inf", -math.inf),
        ("!!str 5", "5"),
        ("! 5", "5"),
        ("!!int 5", 5),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_scalars(text, value):
    node = parse(text)
    assert isinstance(node, ScalarNode)
    assert node.value == value
    assert type(node.value) is type(value)


def test_nan():
    assert math.isnan(parse(".nan").value)


def test_keys_are_text():
    node = parse("151673: a\nno: b\n1e3: c\n'': d\n")
    assert list(node.entries) == ["151673", "no", "1e3", ""]


def test_merge_keys():
    node = parse("base: &b {x: 1, y: 2}\nnode: {x: 3, <<: *b}\nboth: {<<: [*b, {y: 9, z: 4}]}\n")
    values = {key: {k: e.value.value for k, e in v.value.entries.items()} for key, v in node.entries.items()}
    assert values == {"base": {"x": 1, "y": 2}, "node": {"x": 3, "y": 2}, "both": {"x": 1, "y": 2, "z": 4}}


def test_merge_of_something_else():
    problems = Problems()
    compose(Source("r.yaml", "a:\n  <<: text"), problems)
    (problem,) = problems
    assert (problem.code, problem.where.line, problem.where.column) == ("recipe.wrong-type", 2, 7)


def test_an_empty_text_is_nothing():
    assert describe(parse("")) == "nothing"
    assert isinstance(parse("[]"), ListNode)
    assert isinstance(parse("{}"), MapNode)


def test_carets_under_what_is_marked():
    node = parse("a:\n\t\n- x".replace("\t\n- x", "  - \u00e9t\u00e9  # why\n"))
    assert node.get("a").items[0].mark.snippet == "    2 |   - \u00e9t\u00e9  # why\n      |     ^^^"


def test_brackets_are_marked_whole():
    node = parse("a: [1, {b: 2}]  # c\nd:\n- e\nf: [\n1]")
    assert node.get("a").mark.width == len("[1, {b: 2}]")
    assert node.get("a").items[1].mark.width == len("{b: 2}")
    assert node.get("d").mark.snippet.endswith("| - e\n      | ^^^")
    assert node.get("f").mark.snippet.endswith("| f: [\n      |    ^")


def test_tabs_keep_the_carets_in_place():
    snippet = parse("'x\ty': b").get("x\ty").mark.snippet
    assert snippet == "    1 | 'x\ty': b\n      |   \t    ^"


def test_windows_line_ends():
    mark = parse("a: 1\r\nb: two\r\n").get("b").mark
    assert (mark.line, mark.column, mark.snippet) == (2, 4, "    2 | b: two\n      |    ^^^")


def test_long_lines_are_cut_around_the_mark():
    mark = parse("a: [" + "x, " * 1000 + "here]").get("a").items[-1].mark
    source, carets = mark.snippet.split("\n")
    assert mark.column == 3005
    assert source[carets.index("^") :].startswith("here")
    assert len(source) < 140


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        ("a: b: c", 1, 5, "a ':' where no key can stand"),
        ("a: 1\nb\nc: 2", 3, 1, "a key without ':'"),
        ("a:\n\tb: 1", 2, 1, "a tab; indent with spaces"),
        ("a: 'x", 1, 6, "a quote that is never closed"),
        ("a: [1, 2\nb: 3", 2, 2, "a list that is not closed"),
        ("a: {b: 1\nc: 3", 2, 2, "a mapping that is not closed"),
        ("a:\n  b: 1\n c: 2", 3, 2, "indentation"),
        ("a: @x", 1, 4, "put quotes around the text"),
        ("a: *b", 1, 4, "*b refers to no anchor"),
        ("a: &b [*b]", 1, 8, "*b stands inside what it refers to"),
        ("? [a]\n: b", 1, 3, "a key must be plain text"),
        ("a: 1\n---\nb: 2", 2, 1, "a second document"),
        ("a: b\x07", 1, 5, "U+0007"),
        ('a: "\\ud800"', 1, 4, "stands for no character"),
        ('a: "\\UFFFFFFFF"', 1, 1, "stands for no character"),
        ("a: !!python/object/apply:os.system ['x']", 1, 4, "!!python/object/apply:os.system cannot stand"),
        ("a: !!python/name:os.system", 1, 4, "!!python/name:os.system cannot stand"),
        ("a: !mine 3", 1, 4, "the tag !mine cannot stand"),
        ("a: !!int x", 1, 4, "the tag !!int cannot stand"),
    ],
)
def test_what_is_not_plain_yaml(text, line, column, what):
    code, *place, error = refused(text)
    assert code == "recipe.syntax"
    assert what in error.what
    assert place == [line, column]


def test_an_unquoted_variable_in_a_flow_mapping():
    *_, error = refused("a: {path: ${HOME}/x, b: 1}")
    assert "needs quotes" in error.hint


def test_limits():
    assert refused("a: " + "9" * 5000)[:3] == ("recipe.limits", 1, 4)
    assert refused("a: 9223372036854775808")[:3] == ("recipe.limits", 1, 4)
    assert parse("a: -9223372036854775807").get("a").value == -(2**63) + 1
    assert refused("[" * (MAX_DEPTH + 5))[:3] == ("recipe.limits", 1, MAX_DEPTH + 2)
    assert refused("\n".join("- - - x" for _ in range(MAX_NODES // 3 + 1)))[0] == "recipe.limits"
    assert refused("#" * 1_000_001)[0] == "recipe.limits"


def test_an_alias_bomb_is_refused_before_it_grows():
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, 40):
        text += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n"
    code, line, _, _ = refused(text)
    assert (code, line) == ("recipe.limits", 5)


def test_aliases_do_not_nest_deeper_than_what_is_written():
    text = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, MAX_DEPTH + 5))
    code, line, _, error = refused(text)
    assert (code, "levels deep" in error.what) == ("recipe.limits", True)
    assert line == MAX_DEPTH


def test_the_budget_is_shared():
    budget = Budget()
    compose(Source("a", "a: [1, 2]"), Problems(), budget)
    assert (budget.nodes, budget.characters) == (MAX_NODES - 5, MAX_BYTES - 9)


SPECIAL = [*"[]{}'\"~1é ", ": ", ":", "- ", ", ", "? ", "# c\n", "|\n", ">-\n", "&a ", "*a", "!!str "]
BREAKS = ["\n", "\n  ", "\r\n", "\u2028", "\x85", "\U0001f9ec"]
PIECES = st.sampled_from(["a", *SPECIAL, *BREAKS])


@settings(max_examples=300)
@example(text="? [a? |\n")
@given(text=st.lists(PIECES, max_size=14).map("".join))
def test_both_parsers_give_the_same_tree(text):
    """Where there is no libyaml, recipes mean the same, and problems have the same places."""

    def tree(node):
        inner = ()
        if isinstance(node, ListNode):
            inner = [tree(item) for item in node.items]
        elif isinstance(node, MapNode):
            inner = [
                (k, e.key.line, e.key.column, e.key.width, tree(e.value)) for k, e in node.entries.items()
            ]
        mark = node.mark
        return mark.line, mark.column, mark.width, describe(node), inner

    def outcome():
        try:
            return tree(compose(Source("r", text), Problems()))
        except RecipeError as error:
            return str(error)

    fast = outcome()
    with mock.patch.object(composer, "_FAST", yaml.SafeLoader):
        slow = outcome()
    # libyaml reads a little that PyYAML does not ([a? b]); never otherwise, and never with another meaning.
    read_by_one = isinstance(slow, str) and (not isinstance(fast, str) or "cannot begin plain text" in slow)
    assert fast == slow or read_by_one

"""The comparison language: what it means, and where it points when it is wrong."""

from __future__ import annotations

import contextlib

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatialrun.comparison import Comparison, Condition, Joined, Not, parse
from spatialrun.errors import UsageError

TABLE = pd.DataFrame(
    {
        "padj": [0.001, 0.2, None, 0.04],
        "rank": [1, 2, 3, 4],
        "gene": ["CSTB", "MOBP", None, "MT-CO1"],
        "domain": pd.Categorical(["3", "1", "3", None]),
        "svg": [True, False, False, True],
        "odd name": [1.0, 2.0, 3.0, 4.0],
        "spatialde.rank-2": [4, 3, 2, 1],
    }
)


def rows(source):
    return [int(row) for row in parse(source).mask(TABLE).nonzero()[0]]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("padj < 0.05", [0, 3]),
        ("padj >= 2e-1", [1]),
        ("padj != 0.2", [0, 3]),  # a missing value meets no comparison
        ("rank<=2", [0, 1]),
        ("rank > +3.", [3]),
        ("rank == -1", []),
        ("gene == 'CSTB'", [0]),
        ('gene != "CSTB"', [1, 3]),
        ("domain == '3'", [0, 2]),
        ("domain == 3", [0, 2]),  # labels are often numbers
        ("svg", [0, 3]),
        ("svg == false", [1, 2]),
        ("not svg", [1, 2]),
        ("not not svg", [0, 3]),
        ("`odd name` > 3", [3]),
        ("spatialde.rank-2 == 1", [3]),
        ("svg and rank < 4", [0]),
        ("rank == 1 or rank == 2 and svg", [0]),
        ("(rank == 1 or rank == 2) and not svg", [1]),
        ("not (svg or rank == 2)", [2]),
    ],
)
def test_rows(source, expected):
    assert rows(source) == expected


def test_and_binds_tighter_than_or():
    root = parse("a or b and not c").root
    assert isinstance(root, Joined)
    assert root.word == "or"
    assert isinstance(root.parts[1], Joined)
    assert isinstance(root.parts[1].parts[1], Not)


def test_names_are_told_once_and_in_order():
    assert parse("b > 1 and (a or b < 3)").names == ("b", "a")


@pytest.mark.parametrize(
    ("source", "what", "column", "width"),
    [
        ("", "a column's name is expected here, the expression ends", 1, 1),
        ("padj <", "a value is expected after <", 7, 1),
        ("padj < rank", "a value is expected after <; put text in quotes: 'rank'", 8, 4),
        ("padj = 1", "compare with ==, not =", 6, 1),
        ("padj < 1 rank", "'rank' is not expected here; join comparisons with and, or", 10, 4),
        ("(padj < 1", "a closing ')' is missing here", 10, 1),
        ("1 < padj", "a column's name is expected here, found '1'", 1, 1),
        ("and svg", "a column's name is expected here, found 'and'", 1, 3),
        ("gene == 'CSTB", "the ' is not closed", 9, 1),
        ("svg & rank", "'&' is not understood", 5, 1),
        ("__import__('os')", "'(' is not expected here; join comparisons with and, or", 11, 1),
        ("padj < 0x10", "'0' is not understood", 8, 1),
        ("paj < 1", "there is no column 'paj'; did you mean 'padj'?", 1, 3),
        ("svg and `odd nam` < 1", "there is no column 'odd nam'; did you mean 'odd name'?", 9, 9),
        ("padj < 'a'", "'padj' holds numbers: compare it with numbers", 1, 4),
        ("rank", "'rank' holds numbers: compare it with numbers", 1, 4),
        ("gene < 'a'", "'gene' holds text: compare it with == or !=", 1, 4),
        ("svg == 1", "'svg' holds true or false: compare it with true or false", 1, 3),
    ],
)
def test_errors_point_at_their_place(source, what, column, width):
    with pytest.raises(UsageError) as caught:
        rows(source)
    error = caught.value
    assert error.what == what
    assert error.where.column == column
    assert error.where.snippet == f"  | {source}\n  | {' ' * (column - 1)}{'^' * width}"


def test_depth_is_bounded():
    with pytest.raises(UsageError, match="nested too deeply"):
        parse("(" * 1000 + "a" + ")" * 1000)
    with pytest.raises(UsageError, match="nested too deeply"):
        parse("not " * 1000 + "a")


@given(st.text(alphabet="ab.1e-+<=>!()'\"` andornt\n", max_size=40))
def test_any_text_is_parsed_or_refused(source):
    with contextlib.suppress(UsageError):
        assert isinstance(parse(source), Comparison)


NAME = st.from_regex(r"[a-z][a-z0-9.]{0,5}", fullmatch=True).filter(
    lambda name: name not in ("and", "or", "not", "true", "false")
)
TEST = st.tuples(NAME, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), st.integers(-99, 99))


@given(st.lists(TEST, min_size=1, max_size=5), st.sampled_from(["and", "or"]))
def test_spaces_do_not_matter(tests, word):
    wide = f"  {word} ".join(f"{name}  {symbol}  {number} " for name, symbol, number in tests)
    close = f" {word} ".join(f"({name}{symbol}{number})" for name, symbol, number in tests)
    assert _plain(parse(wide).root) == _plain(parse(close).root)


def _plain(node):
    """A tree without places."""
    if isinstance(node, Condition):
        return (node.name.text, node.operator, node.value)
    return (node.word, [_plain(part) for part in node.parts])

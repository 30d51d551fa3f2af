"""Comparisons: the small language that chooses rows, ``padj < 0.05 and (gene == 'CSTB' or not svg)``.

    expression = all ("or" all)*
    all        = one ("and" one)*
    one        = "not" one | "(" expression ")" | name [operator value]
    operator   = < <= > >= == !=
    value      = number | 'text' | "text" | true | false

A name alone stands for a column of true and false; a name with other characters is put in backquotes. A missing
value meets no comparison. There is no arithmetic, and nothing is ever evaluated as Python.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spatialrun.errors import UsageError, Where

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
KEYWORDS = ("and", "or", "not", "true", "false")
DEEPEST = 50
HINT = "write it as: padj < 0.05 and gene == 'CSTB'"

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    |(?P<text>'[^']*'|"[^"]*")
    |(?P<operator><=|>=|==|!=|<|>)
    |(?P<bracket>[()])
    |`(?P<quoted>[^`]+)`
    |(?P<word>[^\W\d][\w.+-]*))""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Token:
    """A piece of an expression; ``kind`` is a group of the pattern, or ``end``."""

    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Condition:
    """A column compared with a value; with neither operator nor value, a column of true and false."""

    name: Token
    operator: str = ""
    value: str | float | bool = True
    literal: str = ""
    """The value as written: labels such as 3 are text in tables and numbers in expressions."""


@dataclass(frozen=True)
class Not:
    """What does not meet an expression."""

    inner: Node


@dataclass(frozen=True)
class Joined:
    """What meets all (``and``) or any (``or``) of several expressions."""

    word: str
    parts: tuple[Node, ...]


Node = Condition | Not | Joined


@dataclass(frozen=True)
class Comparison:
    """A parsed expression."""

    source: str
    root: Node

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it mentions, in order, each once."""
        return tuple(dict.fromkeys(_names(self.root)))

    def mask(self, table: pd.DataFrame) -> np.ndarray:
        """Return for every row whether it meets the expression.

        Raises
        ------
        UsageError
            Where the table lacks a column, or a column cannot be compared with the value.
        """
        return self._mask(self.root, table)

    def _mask(self, node: Node, table: pd.DataFrame) -> np.ndarray:
        if isinstance(node, Not):
            return ~self._mask(node.inner, table)
        if isinstance(node, Joined):
            masks = [self._mask(part, table) for part in node.parts]
            mask = masks[0]
            for other in masks[1:]:
                mask = mask & other if node.word == "and" else mask | other
            return mask
        if node.name.text not in table.columns:
            raise self._unknown(node.name, list(map(str, table.columns)))
        return self._compare(node, table[node.name.text])

    def _compare(self, condition: Condition, column: pd.Series) -> np.ndarray:
        from pandas.api.types import CategoricalDtype, is_bool_dtype, is_numeric_dtype

        present = column.notna().to_numpy()
        values, wanted = column, condition.value
        if isinstance(column.dtype, CategoricalDtype):
            values = column.astype(object)
        if is_bool_dtype(values):
            self._insist(condition, isinstance(wanted, bool), "true or false")
        elif is_numeric_dtype(values):
            number = isinstance(wanted, float) and not isinstance(wanted, bool)
            self._insist(condition, number, "numbers")
        else:
            self._insist(
                condition, bool(condition.operator) and condition.operator in ("==", "!="), "text", "== or !="
            )
            values, wanted = values.astype(str), condition.literal
        compare = OPERATORS[condition.operator or "=="]
        found: np.ndarray = compare(values, wanted).to_numpy(dtype=bool)
        return found & present

    def _insist(self, condition: Condition, sound: bool, holds: str, needed: str | None = None) -> None:
        if not sound:
            what = f"'{condition.name.text}' holds {holds}: compare it with {needed or holds}"
            raise fault(self.source, what, condition.name.start, condition.name.end)

    def _unknown(self, name: Token, columns: list[str]) -> UsageError:
        from difflib import get_close_matches

        near = get_close_matches(name.text, columns, n=1)
        meant = f"; did you mean '{near[0]}'?" if near else ""
        hint = f"there are: {', '.join(columns[:20])}{' ...' if len(columns) > 20 else ''}"
        return fault(self.source, f"there is no column '{name.text}'{meant}", name.start, name.end, hint)


def parse(source: str) -> Comparison:
    """Parse an expression.

    Raises
    ------
    UsageError
        With the place of what is not understood.
    """
    return Comparison(source, _Parser(source).whole())


def fault(source: str, what: str, start: int, end: int, hint: str = HINT) -> UsageError:
    """Return an error that points at a part of an expression."""
    line = re.sub(r"\s", " ", source)
    snippet = f"  | {line}\n  | {' ' * start}{'^' * max(1, end - start)}"
    return UsageError("usage", what, where=Where(column=start + 1, snippet=snippet), hint=hint)


class _Parser:
    """Reads tokens from left to right, one method per rule."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._token = self._read(0)
        self._depth = 0

    def whole(self) -> Node:
        """Read everything."""
        node = self._expression()
        if self._token.kind != "end":
            raise self._fault(f"'{self._token.text}' is not expected here; join comparisons with and, or")
        return node

    def _expression(self) -> Node:
        return self._joined("or", lambda: self._joined("and", self._one))

    def _joined(self, word: str, part: Callable[[], Node]) -> Node:
        parts = [part()]
        while self._token.kind == "word" and self._token.text == word:
            self._next()
            parts.append(part())
        return parts[0] if len(parts) == 1 else Joined(word, tuple(parts))

    def _one(self) -> Node:
        token = self._token
        if token.kind == "word" and token.text == "not":
            return self._nested(lambda: Not(self._one()))
        if token.text == "(" and token.kind == "bracket":
            return self._nested(self._bracketed)
        if token.kind not in ("word", "quoted") or (token.kind == "word" and token.text in KEYWORDS):
            found = f"found '{token.text}'" if token.text else "the expression ends"
            raise self._fault(f"a column's name is expected here, {found}")
        self._next()
        return self._comparison(token)

    def _nested(self, inner: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._fault("the expression is nested too deeply")
        self._next()
        node = inner()
        self._depth -= 1
        return node

    def _bracketed(self) -> Node:
        node = self._expression()
        if self._token.text != ")":
            raise self._fault("a closing ')' is missing here")
        self._next()
        return node

    def _comparison(self, name: Token) -> Node:
        if self._token.kind != "operator":
            return Condition(name)
        symbol = self._next().text
        token = self._token
        if token.kind == "number":
            value: str | float | bool = float(token.text)
            literal = token.text
        elif token.kind == "text":
            value = literal = token.text[1:-1]
        elif token.kind == "word" and token.text in ("true", "false"):
            value, literal = token.text == "true", token.text
        else:
            quoted = f"; put text in quotes: '{token.text}'" if token.kind == "word" else ""
            raise self._fault(f"a value is expected after {symbol}{quoted}")
        self._next()
        return Condition(name, symbol, value, literal)

    def _next(self) -> Token:
        """Return the token at hand and go on to the next."""
        token = self._token
        self._token = self._read(token.end)
        return token

    def _read(self, position: int) -> Token:
        match = _TOKEN.match(self._source, position)
        if match is not None and match.lastgroup is not None:
            kind = match.lastgroup
            # Of a name in backquotes, the quotes belong to its place.
            quotes = 1 if kind == "quoted" else 0
            return Token(kind, match[kind], match.start(kind) - quotes, match.end())
        rest = self._source[position:]
        start = position + len(rest) - len(rest.lstrip())
        if start >= len(self._source):
            return Token("end", "", start, start)
        character = self._source[start]
        what = "compare with ==, not =" if character == "=" else f"'{character}' is not understood"
        if character in "'\"`":
            what = f"the {character} is not closed"
        raise fault(self._source, what, start, start + 1)

    def _fault(self, what: str) -> UsageError:
        return fault(self._source, what, self._token.start, self._token.end)


def _names(node: Node) -> list[str]:
    if isinstance(node, Condition):
        return [node.name.text]
    parts = node.parts if isinstance(node, Joined) else (node.inner,)
    return [name for part in parts for name in _names(part)]

"""YAML to a tree of nodes: plain data only, within bounds, one meaning per scalar.

Scalars mean what YAML 1.2 says: ``no``, ``on`` and ``12:30`` are text, ``1e-3`` is a number; ``007`` stays
text. Keys are text whatever they look like. Python objects are never made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import yaml

from spatialrun.errors import RecipeError
from spatialrun.recipe.nodes import Atom, Entry, ListNode, MapNode, Node, ScalarNode, describe
from spatialrun.recipe.problems import Problems
from spatialrun.recipe.source import Mark, Source

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_NODES = 50_000
"""Keys and values of a recipe, every alias counted with all that it stands for."""

# libyaml is several times as fast; PyYAML's own parser is there without it too, and words the errors.
_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_CONSTANTS: Mapping[str, Atom] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
# Digits after a leading zero are names (007), not numbers: YAML 1.1 and 1.2 disagree about them.
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0o[0-7]+")
_NUMBER = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+")

_PLAIN_WORDS = (
    (
        "mapping values are not allowed",
        "a ':' where no key can stand: check indentation, or quote the text",
    ),
    ("could not find expected ':'", "a key without ':'"),
    ("'\\t' that cannot start", "a tab; indent with spaces"),
    ("found unexpected end of stream", "a quote that is never closed"),
    ("expected ',' or ']'", "a list that is not closed, or a ',' missing before this"),
    ("expected ',' or '}'", "a mapping that is not closed, or a ',' missing before this"),
    ("expected <block end>", "the indentation does not fit the lines above"),
    ("expected the node content", "a value is missing here"),
    ("that cannot start any token", "a character that cannot begin plain text: put quotes around the text"),
    ("sequence entries are not allowed", "a '-' where no list can stand: check the indentation"),
    ("block mapping", "the indentation does not fit the lines above"),
)


@dataclass
class Budget:
    """What is left to a recipe and all that it includes, together."""

    characters: int = MAX_BYTES
    nodes: int = MAX_NODES


def compose(source: Source, problems: Problems, budget: Budget | None = None) -> Node:
    """Compose the tree of a text; duplicate keys go to ``problems``, the first one stands.

    Raises
    ------
    RecipeError
        ``recipe.syntax`` where the text is not plain YAML, ``recipe.limits`` where it is too large.
    """
    budget = budget or Budget()
    budget.characters -= len(source.text)
    if budget.characters < 0:
        raise RecipeError(
            "recipe.limits",
            f"more than {MAX_BYTES:,} characters, with all that is included; recipes have no more",
            where=source.mark().where(),
            hint="a recipe holds paths and parameters; keep data in files of their own",
        )
    try:
        composer = _Composer(source, problems, budget.nodes, _FAST)
        root = composer.document()
    except (yaml.YAMLError, ValueError, OverflowError):
        composer = _Composer(source, problems, budget.nodes, yaml.SafeLoader)
        root = composer.document_or_error()
    budget.nodes -= composer.count
    return root


@dataclass(frozen=True, slots=True)
class _Anchored:
    """What an alias stands for: how many keys and values, in how many levels below the first."""

    node: Node
    size: int
    height: int


class _Composer:
    """Builds nodes from PyYAML's events, counting as it goes so that bombs are refused before they grow."""

    def __init__(self, source: Source, problems: Problems, most: int, parser: Any) -> None:
        self._source = source
        self._problems = problems
        self._most = most
        self._events: Iterator[Any] = yaml.parse(source.text, Loader=parser)
        self._anchors: dict[str, _Anchored | None] = {}
        self._reached = 0
        self.count = 0

    def document_or_error(self) -> Node:
        """Return what :meth:`document` does; what the parser cannot read is an error of the recipe."""
        try:
            return self.document()
        except yaml.MarkedYAMLError as error:
            raise self._syntax(error) from None
        except yaml.reader.ReaderError as error:
            before = Source("", self._source.text[: error.position]).lines
            mark = self._source.mark(len(before), len(before[-1]) + 1, 1)
            what = f"the character U+{error.character:04X} cannot stand in YAML"
            raise self._error("recipe.syntax", what, mark) from None
        except (ValueError, OverflowError):
            # PyYAML lets escapes and version numbers out of range through to chr() and int().
            raise self._error("recipe.syntax", "an escape that stands for no character", None) from None

    def document(self) -> Node:
        """Return the root of the one document."""
        next(self._events)  # the stream's start
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return ScalarNode(self._source.mark(), "", None)
        root = self._node(next(self._events), depth=0)
        next(self._events)  # the document's end
        extra = next(self._events)
        if not isinstance(extra, yaml.StreamEndEvent):
            raise self._error(
                "recipe.syntax", "a second document starts here; a recipe is one document", self._mark(extra)
            )
        return root

    def _node(self, event: Any, depth: int) -> Node:
        mark = self._mark(event)
        self._grow(1, mark)
        self._reach(depth, mark)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, mark, depth)
        if event.anchor is None:
            return self._value(event, mark, depth)
        self._anchors[event.anchor] = None
        before, outer, self._reached = self.count, self._reached, depth
        node = self._value(event, mark, depth)
        self._anchors[event.anchor] = _Anchored(node, self.count - before + 1, self._reached - depth)
        self._reached = max(outer, self._reached)
        return node

    def _value(self, event: Any, mark: Mark, depth: int) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, mark)
        if isinstance(event, yaml.SequenceStartEvent):
            self._plain_tag(event, "seq", mark)
            return self._list(event, mark, depth)
        self._plain_tag(event, "map", mark)
        return self._map(event, mark, depth)

    def _alias(self, event: Any, mark: Mark, depth: int) -> Node:
        if event.anchor not in self._anchors:
            raise self._error("recipe.syntax", f"*{event.anchor} refers to no anchor above it", mark)
        anchored = self._anchors[event.anchor]
        if anchored is None:
            raise self._error("recipe.syntax", f"*{event.anchor} stands inside what it refers to", mark)
        self._grow(anchored.size, mark)
        self._reach(depth + anchored.height, mark)
        return anchored.node

    def _list(self, start: Any, mark: Mark, depth: int) -> ListNode:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return ListNode(self._closed(mark, start, event), tuple(items))

    def _map(self, start: Any, mark: Mark, depth: int) -> MapNode:
        entries: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._mark(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise self._error("recipe.syntax", "a key must be plain text", key)
            self._plain_tag(event, "str", key)
            self._grow(1, key)
            text = self._text(event.value, key)
            following = next(self._events)
            value = self._node(following, depth + 1)
            if isinstance(value, ScalarNode) and following.start_mark.index == following.end_mark.index:
                value = ScalarNode(self._after_colon(event, key), value.text, value.value)
            if text == "<<" and event.implicit[0]:
                self._merge(value, merged)
            elif text in entries:
                what = f"the key '{text}' is given twice; first in line {entries[text].key.line}"
                self._problems.add("recipe.duplicate", what, key)
            else:
                entries[text] = Entry(key, value)
        # Keys written here come before merged ones, whatever their order.
        rest = {key: entry for key, entry in merged.items() if key not in entries}
        return MapNode(self._closed(mark, start, event), MappingProxyType(entries | rest))

    def _merge(self, value: Node, merged: dict[str, Entry]) -> None:
        """Take in what ``<<`` names; of several mappings the first that has a key wins."""
        for node in value.items if isinstance(value, ListNode) else (value,):
            if isinstance(node, MapNode):
                for key, entry in node.entries.items():
                    merged.setdefault(key, entry)
            else:
                what = f"'<<' takes a mapping or a list of mappings, found {describe(node)}"
                self._problems.add("recipe.wrong-type", what, node.mark)

    def _scalar(self, event: Any, mark: Mark) -> ScalarNode:
        text = self._text(event.value, mark)
        plain = event.implicit[0] and not event.style
        value = self._resolve(text, mark) if plain or event.tag is not None else text
        kind = {str: "str", bool: "bool", int: "int", float: "float"}.get(type(value), "null")
        if event.tag in ("!", "tag:yaml.org,2002:str"):
            return ScalarNode(mark, text, text)
        self._plain_tag(event, kind, mark)
        return ScalarNode(mark, text, value)

    def _plain_tag(self, event: Any, kind: str, mark: Mark) -> None:
        if event.tag in (None, f"tag:yaml.org,2002:{kind}") or (event.tag == "!" and kind in ("seq", "map")):
            return
        name = event.tag.replace("tag:yaml.org,2002:", "!!")
        raise self._error(
            "recipe.syntax",
            f"the tag {name} cannot stand here",
            mark,
            hint="recipes are plain YAML: leave the tag out",
        )

    def _text(self, text: str, mark: Mark) -> str:
        if re.search("[\0\ud800-\udfff]", text):
            raise self._error("recipe.syntax", "an escape that stands for no character", mark)
        return text

    def _resolve(self, text: str, mark: Mark) -> Atom:
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _INTEGER.fullmatch(text):
            # Python refuses to convert thousands of digits, and no parameter has more than 64 bits.
            if len(text) > 20 or abs(value := int(text, 0)) >= 2**63:
                hint = "put quotes around it if it is a name"
                raise self._error("recipe.limits", "a whole number of more than 64 bits", mark, hint=hint)
            return value
        if _NUMBER.fullmatch(text):
            return float(text)
        return text

    def _grow(self, by: int, mark: Mark) -> None:
        self.count += by
        if self.count > self._most:
            raise self._error(
                "recipe.limits",
                f"more than {MAX_NODES:,} keys and values, included ones too, aliases with what they stand for",
                mark,
            )

    def _reach(self, depth: int, mark: Mark) -> None:
        self._reached = max(self._reached, depth)
        if self._reached > MAX_DEPTH:
            raise self._error("recipe.limits", f"nested more than {MAX_DEPTH} levels deep", mark)

    def _syntax(self, error: yaml.MarkedYAMLError) -> RecipeError:
        found = error.problem_mark or error.context_mark
        mark = self._source.mark(found.line + 1, found.column + 1, 1) if found else None
        problem = error.problem or error.context or "not valid YAML"
        what = next((plain for part, plain in _PLAIN_WORDS if part in problem), problem)
        opened = error.context_mark
        hint = None
        if opened and found and opened.line != found.line:
            hint = f"what it belongs to starts in line {opened.line + 1}"
        if mark and "${" in self._source.lines[mark.line - 1][: mark.column]:
            hint = "a ${VARIABLE} within { } or [ ] needs quotes around the text"
        return self._error("recipe.syntax", what, mark, hint=hint)

    def _mark(self, event: Any) -> Mark:
        start, end = event.start_mark, event.end_mark
        width = 0
        if end.line == start.line and isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
            width = max(1, end.column - start.column)
        return self._source.mark(start.line + 1, start.column + 1, width)

    def _after_colon(self, key: Any, otherwise: Mark) -> Mark:
        """Mark a value that is not there: parsers disagree whether it stands before or after the blanks."""
        end = key.end_mark
        colon = re.compile("[ \t]*:").match(self._source.lines[end.line], end.column)
        return self._source.mark(end.line + 1, colon.end() + 1, 1) if colon else otherwise

    def _closed(self, mark: Mark, start: Any, end: Any) -> Mark:
        """Widen the mark of a list or mapping in brackets to all of it, where it is in one line."""
        if not start.flow_style or end.end_mark.line != start.start_mark.line:
            return mark
        return self._source.mark(mark.line, mark.column, end.end_mark.column - start.start_mark.column)

    def _error(self, code: str, what: str, mark: Mark | None, *, hint: str | None = None) -> RecipeError:
        return RecipeError(code, what, where=(mark or self._source.mark()).where(), hint=hint)

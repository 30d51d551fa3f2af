"""Text with places: what a recipe was read from, and marks that point into it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

from spatialrun.errors import Where

_LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_LONGEST_SNIPPET = 120


@dataclass(frozen=True, eq=False)
class Source:
    """A piece of YAML text: the recipe's file, one that it includes, or the value of one ``--set``.

    Attributes
    ----------
    name
        What errors call it: the file as the user named it, or ``--set key=value``.
    text
        The text as written.
    override
        Whether it came from the command line; its places then have no line and column.
    folder
        Where an included file lies, from the recipe's folder: the files that it names are relative to it.
    """

    name: str
    text: str = field(repr=False)
    override: bool = False
    folder: str = ""

    @cached_property
    def lines(self) -> list[str]:
        """The lines, split where YAML splits them."""
        return _LINE_END.split(self.text)

    def mark(self, line: int = 1, column: int = 1, width: int = 0) -> Mark:
        """Return a mark at a 1-based place; a width of 0 reaches to the end of the line."""
        return Mark(self, line, column, width)


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """The place of one key or value: 1-based line and column, and how many characters it covers."""

    source: Source
    line: int
    column: int
    width: int

    def where(self, *, step: str | None = None, sample: str | None = None) -> Where:
        """Return the place as errors carry it."""
        if self.source.override:
            return Where(file=self.source.name, step=step, sample=sample)
        return Where(
            file=self.source.name,
            line=self.line,
            column=self.column,
            step=step,
            sample=sample,
            snippet=self.snippet,
        )

    @property
    def snippet(self) -> str | None:
        """The line, with carets under the marked part; ``None`` past the end of the text."""
        if self.line > len(self.source.lines):
            return None
        line = self.source.lines[self.line - 1].rstrip()
        start = self.column - 1
        width = self.width or len(line) - start
        # Keep what is marked in sight when someone writes a whole recipe on one line.
        if len(line) > _LONGEST_SNIPPET:
            cut = max(0, start - _LONGEST_SNIPPET // 2)
            line, start = line[cut : cut + _LONGEST_SNIPPET], start - cut
        width = max(1, min(width, len(line) - start))
        # Tabs are kept so that the carets stand under the text in any terminal.
        pad = re.sub(r"[^\t]", " ", line[:start].ljust(start))
        gutter = f"{self.line:>5}"
        return f"{gutter} | {line}\n{' ' * len(gutter)} | {pad}{'^' * width}"

"""The two streams: results on stdout, everything about how it goes on stderr.

Colour follows the terminal and ``NO_COLOR``. Away from a terminal nothing is wrapped, cut or coloured, so that
every line of output is one line of a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

GAP = 2


def out() -> Console:
    """Return the console for results."""
    return _console(stderr=False)


def err() -> Console:
    """Return the console for progress, warnings and errors."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def print_line(console: Console, line: str | Text = "") -> None:
    """Print one line as it is: the terminal wraps it, if it must."""
    console.print(line, soft_wrap=True)


def print_columns(
    console: Console,
    rows: Iterable[Sequence[str | Text]],
    *,
    right: Sequence[int] = (),
    fold: bool = True,
) -> None:
    """Print rows in aligned columns.

    Parameters
    ----------
    console
        Where.
    rows
        Cells, the same number in each row.
    right
        The columns to align to the right.
    fold
        Whether cells are wrapped within their columns where a terminal is too narrow. Otherwise it is the
        terminal that wraps the line, and names can still be copied whole.
    """
    from rich.table import Table
    from rich.text import Text

    cells = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    if not cells:
        return
    widths = [max(cell.cell_len for cell in column) for column in zip(*cells, strict=True)]
    fits = sum(widths) + GAP * (len(widths) - 1) <= console.width
    if fold and console.is_terminal and not fits:
        table = Table.grid(padding=(0, GAP, 0, 0))
        for number in range(len(widths)):
            table.add_column(justify="right" if number in right else "left", overflow="fold")
        for row in cells:
            table.add_row(*row)
        console.print(table)
        return
    for row in cells:
        print_line(console, _joined(row, widths, right))


def print_labelled(console: Console, rows: Iterable[Sequence[str | Text]]) -> None:
    """Print labels, each beside what it stands for: paths and commands, which people copy.

    Where the terminal is too narrow the label has a line of its own, and what it stands for is wrapped by the
    terminal alone, so that it can still be copied whole.

    Parameters
    ----------
    console
        Where.
    rows
        Label and value; an empty label continues the one before.
    """
    from rich.text import Text

    cells = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    widths = [max((cell.cell_len for cell in column), default=0) for column in zip(*cells, strict=True)]
    if not console.is_terminal or sum(widths) + GAP <= console.width:
        print_columns(console, cells)
        return
    for label, value in cells:
        if label.plain:
            print_line(console, label)
        print_line(console, Text("  ") + value)


def _joined(row: Sequence[Text], widths: Sequence[int], right: Sequence[int]) -> Text:
    from rich.text import Text

    line = Text()
    for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
        padding = " " * (width - cell.cell_len)
        line.append(" " * GAP if number else "")
        line.append_text(Text(padding) + cell if number in right else cell + Text(padding))
    line.rstrip()
    return line

"""Errors as people read them: code and fault, place, the lines of the file, what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from spatialrun import words
from spatialrun.cli.console import print_line
from spatialrun.errors import RecipeErrors, SpatialrunError


def print_error(console: Console, error: SpatialrunError) -> None:
    """Print an error; of a recipe, all of its problems."""
    problems: Sequence[SpatialrunError] = error.problems if isinstance(error, RecipeErrors) else (error,)
    for number, problem in enumerate(problems):
        if number:
            print_line(console)
        for line in error_lines(problem):
            print_line(console, line)
    if len(problems) > 1:
        print_line(console)
        print_line(console, Text(f"{len(problems)} problems found", "bold red"))


def error_lines(error: SpatialrunError) -> list[Text]:
    """Return the block of one error."""
    first, *more = error.what.split("\n")
    lines = [Text.assemble((f"error[{error.code}]", "bold red"), (f": {first}", "bold"))]
    lines += [Text(f"  {line}") for line in more]
    if place := str(error.where):
        lines.append(Text.assemble(("  --> ", "blue"), place))
    if error.where.snippet:
        lines += [_source_line(line) for line in error.where.snippet.split("\n")]
    if error.hint:
        lines.append(Text.assemble(("  help: ", "cyan"), error.hint))
    return lines


def _source_line(line: str) -> Text:
    """Colour the gutter of a snippet, and its carets."""
    gutter, bar, rest = line.partition(" | ")
    carets = not gutter.strip() and bool(rest) and set(rest.strip()) == {"^"}
    return Text.assemble((gutter + bar, "blue"), (rest, "bold red" if carets else ""))


def print_warnings(console: Console, warnings: Sequence[tuple[str, str, str]]) -> None:
    """Print the warnings (step, sample, line) of a run: one that several samples share stands once."""
    samples: dict[tuple[str, str], list[str]] = {}
    for step, sample, line in warnings:
        samples.setdefault((step, line), []).append(sample)
    for (step, line), where in samples.items():
        named = ", ".join(where) if len(where) <= 3 else words.count(len(where), "sample")
        about = f" ({step} {named})" if step else ""
        print_line(console, Text.assemble(("warning", "bold yellow"), f": {line}{about}"))

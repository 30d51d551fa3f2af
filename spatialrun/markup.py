"""HTML for notebooks: what ``_repr_html_`` is made of. Every text is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Return a table of texts; the first cell of a row is its name."""
    top = f"<thead><tr>{''.join(map(_head, head))}</tr></thead>" if head else ""
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table>{top}<tbody>{body}</tbody></table>"


def box(kind: str, said: str, *parts: str) -> str:
    """Return what an object is, a line about it, and parts that are HTML already."""
    title = f"<p><b>spatialrun {html.escape(kind)}</b>, {html.escape(said)}</p>"
    return f"<div>{title}{''.join(parts)}</div>"


def folded(summary: str, content: str) -> str:
    """Return HTML that is shown when the summary is clicked."""
    return f"<details><summary>{html.escape(summary)}</summary>{content}</details>"


def _head(text: str) -> str:
    return f'<th scope="col" style="text-align: left">{html.escape(text)}</th>'


def _cell(text: str) -> str:
    return f'<td style="text-align: left">{html.escape(text)}</td>'

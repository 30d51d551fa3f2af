"""Reasons in words: ``n_svg: 500 -> 800``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spatialrun import words
from spatialrun.plan.reasons import Reason

LONGEST_VALUE = 40


def reason_words(reason: Reason) -> str:
    """Return a reason as a few words."""
    match reason.kind:
        case "new":
            return "new"
        case "parameter":
            return f"{reason.name}: {value(reason.old)} -> {value(reason.new)}"
        case "input":
            return _changed(reason, "changed", added="is new", removed="is gone")
        case "members":
            return f"samples: {value(reason.old)} -> {value(reason.new)}"
        case "source":
            return "input files changed"
        case "unread":
            return f"input files to be read ({reason.name})"
        case "version":
            return f"{reason.name} version {reason.old} -> {reason.new}"
        case "numerics":
            return f"{reason.name}: {value(reason.old)} -> {value(reason.new)}"
        case "code":
            return f"code of {_changed(reason, 'changed', added='is new', removed='is gone')}"
        case "step":
            return f"uses: {reason.old} -> {reason.new}"
        case "output":
            return "its result is gone from the store"
        case "failed":
            return f"failed last time [{reason.name}]"
        case "forced":
            return "forced"
        case "destination":
            return f"{words.place(reason.name)} {'is missing' if reason.new == 'missing' else 'was altered'}"


def because_words(because: str) -> str:
    """Return why a task was not come to: another task failed, or the run was ``interrupted``."""
    return "the run was interrupted" if because == "interrupted" else f"{because} failed"


def _changed(reason: Reason, changed: str, *, added: str, removed: str) -> str:
    verb = added if reason.old is None else removed if reason.new is None else changed
    return f"{reason.name} {verb}"


def value(thing: Any) -> str:
    """Return a parameter's value as a recipe would have it, shortened in the middle."""
    text = _plain(thing)
    half = LONGEST_VALUE // 2
    return text if len(text) <= LONGEST_VALUE else f"{text[: half - 2]} ... {text[3 - half :]}"


def _plain(thing: Any) -> str:
    match thing:
        case None:
            return "null"
        case bool():
            return str(thing).lower()
        case float():
            return f"{thing:g}"
        case Mapping():
            return "{" + ", ".join(f"{key}: {_plain(inner)}" for key, inner in thing.items()) + "}"
        case list() | tuple():
            return f"[{', '.join(map(_plain, thing))}]"
    return str(thing)

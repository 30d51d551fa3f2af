"""What to cite: the papers behind the step types that a run used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from spatialrun.errors import PluginError
from spatialrun.report.tasks import StepSummary
from spatialrun.steps import catalogue

_DOI = re.compile(r"\b10\.\d{4,9}/[^\s,;)]+")


@dataclass(frozen=True)
class Citation:
    """A paper, its DOI (empty where it has none), and the step types that rest on it."""

    text: str
    doi: str
    uses: tuple[str, ...]


def citations_of(steps: Sequence[StepSummary]) -> tuple[Citation, ...]:
    """Return what the step types of a run ask to be cited for, each paper once.

    A step type of a plugin that is not installed here is passed over.
    """
    papers: dict[str, dict[str, None]] = {}
    for step in steps:
        for paper in _papers(step.uses):
            papers.setdefault(paper, {})[step.uses] = None
    return tuple(Citation(*_parted(paper), tuple(uses)) for paper, uses in papers.items())


def _papers(uses: str) -> list[str]:
    try:
        cite = catalogue.get(uses).cite
    except (KeyError, PluginError):
        return []
    return cite.split("; ") if cite else []


def _parted(paper: str) -> tuple[str, str]:
    found = _DOI.search(paper)
    if found is None:
        return paper, ""
    text = paper.replace(found[0], "").removesuffix(" ").removesuffix("doi").strip(" ,;.")
    return text, found[0].rstrip(".")

"""A first recipe for inputs that were found: commented, complete, and ready to be edited."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from spatialrun.cli.discovery import Found
from spatialrun.slots import NAME
from spatialrun.steps import catalogue
from spatialrun.steps.contract import Site

ANALYSIS = """\
  # Quality of spots and genes.
  - uses: qc.metrics

  # layers/norm and layers/lognorm.
  - uses: normalize.log

  # Spatially variable genes: pval, padj, rank ... in var/spatialde.*
  - id: svg
    uses: svg.spatialde
    with: {n_svg: 500}

  # The best of them on the tissue.
"""
TABLE = """\
  # All of them as a table.
  - id: svg_table
    uses: export.table
    with:
      path: "tables/{sample}_svg.csv"
      what: var
      columns: [spatialde.rank, spatialde.padj, spatialde.lengthscale, spatialde.svg]
      sort: spatialde.rank
"""
WRITERS = ("qc.metrics", "normalize.log", "svg.spatialde")
"""The step types of the analysis that write into samples."""
BINS = "read.visium_hd"
"""The step type that reads bins, which are squares, and not round spots."""
STORE = "results"
CLIMB = os.path.join(os.pardir, os.pardir, os.pardir)  # noqa: PTH118 (it is compared as text)


def draft(found: Sequence[Found], base: Path) -> str:
    """Return the text of a recipe that lies in the folder ``base``."""
    lines = [
        "# What to read, what to compute, what to draw. Try: spatialrun plan, then spatialrun apply.",
        "# `spatialrun steps` lists all that a recipe can do.",
        "spatialrun: 1",
        "",
        "# Results are kept here, relative to this file.",
        f"store: {STORE}",
        "",
        "# The tissue sections. Other keys (batch: b1, group: tumor) are kept with the results.",
        "samples:",
        *(f"  {_name(entry.name)}: {{path: {_path(entry.path, base)}}}" for entry in found),
        "",
        "steps:",
        *_readers(found),
    ]
    return "\n".join(lines) + "\n" + ANALYSIS + "\n".join(_figures(found)) + "\n" + TABLE


def _readers(found: Sequence[Found]) -> Iterator[str]:
    kinds = dict.fromkeys(entry.uses for entry in found)
    for uses in kinds:
        mine = [entry for entry in found if entry.uses == uses]
        yield f"  - uses: {uses}"
        if len(kinds) > 1:
            yield f"    samples: [{', '.join(_name(entry.name) for entry in mine)}]"
        if clashes := sorted(_rewritten() & frozenset().union(*(entry.slots for entry in mine))):
            yield f"    with: {{skip: [{', '.join(clashes)}]}}   # computed anew below"
        yield ""


def _figures(found: Sequence[Found]) -> Iterator[str]:
    """Draw the best genes: of spots as they are by default, of bins as squares."""
    bins = [entry for entry in found if entry.uses == BINS]
    spots = [entry for entry in found if entry.uses != BINS]
    for mine, others, id, shape in (
        (spots, bins, "top_genes", ""),
        (bins, spots, "top_genes_of_bins" if spots else "top_genes", ", shape: square"),
    ):
        if mine:
            yield f"  - id: {id}"
            yield "    uses: plot.spatial"
            if others:
                yield f"    samples: [{', '.join(_name(entry.name) for entry in mine)}]"
            yield f"    with: {{color: {{top: 6, by: spatialde.rank}}, ncols: 3{shape}}}"
            yield ""


def _rewritten() -> frozenset[str]:
    """Return the slots that the analysis writes: a file that brings them must leave them out."""
    steps = [catalogue.get(name) for name in WRITERS]
    return frozenset(write.slot for step in steps for write in step.writes(step.Params(), Site()))


def _name(name: str) -> str:
    """Quote a name that YAML would take for something else, such as a number."""
    return name if NAME.match(name) and name[0].isalpha() and not _is_word(name) else json.dumps(name)


def _path(path: Path, base: Path) -> str:
    """A path relative to the recipe, unless it would climb so far that nobody can follow it."""
    relative = os.path.relpath(path, base)
    return json.dumps(str(path) if relative.startswith(CLIMB) else relative, ensure_ascii=False)


def _is_word(name: str) -> bool:
    return name.casefold() in ("true", "false", "null", "yes", "no", "on", "off", "y", "n")

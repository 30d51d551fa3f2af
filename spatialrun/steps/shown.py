"""What panels show: columns of obs, genes, the best genes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from spatialrun.errors import DataError, Where
from spatialrun.slots import name_of
from spatialrun.steps.contract import Inputs, Parameters, Read, parameter

if TYPE_CHECKING:
    import numpy as np

PREFERRED_LAYERS = ("lognorm", "counts")


class Top(Parameters):
    """The best genes by a column of var, one panel each."""

    top: int = parameter(..., "How many genes.", unit="genes", ge=1, le=100)
    by: str = parameter(..., "Column of var that ranks them: spatialde.rank.")
    descending: bool = parameter(False, "Whether the largest values are the best.")


@dataclass(frozen=True, eq=False)
class Shown:
    """What one panel shows."""

    name: str
    values: Any
    label: str | None = None


class Colored(Protocol):
    """The parameters that say what is shown."""

    @property
    def color(self) -> str | tuple[str, ...] | Top | None:
        """What colours the spots."""

    @property
    def layer(self) -> str | None:
        """Layer of the genes' values."""


def color_reads(params: Colored, declared: frozenset[str]) -> list[Read]:
    """What has to be read for the colours: columns of obs, a ranking, a layer of genes."""
    colors = [slot_of(color, declared) for color in colors_of(params.color)]
    reads = [Read(slot, slot) for slot in dict.fromkeys(slot for slot in colors if slot is not None)]
    if isinstance(params.color, Top):
        reads.append(Read("ranking", f"var/{params.color.by}"))
    if isinstance(params.color, Top) or None in colors:
        reads += [Read("genes", "axes/var"), layer_read(params.layer, declared)]
    return reads


def layer_read(layer: str | None, declared: frozenset[str]) -> Read:
    """The layer asked for, else the best one that there is."""
    layers = [layer] if layer else [name for name in PREFERRED_LAYERS if f"layers/{name}" in declared]
    slot = f"layers/{layers[0] if layers else PREFERRED_LAYERS[-1]}"
    return Read(slot, slot)


def n_panels(color: str | tuple[str, ...] | Top | None) -> int:
    """How many panels there will be."""
    return color.top if isinstance(color, Top) else max(1, len(colors_of(color)))


def colors_of(color: str | tuple[str, ...] | Top | None) -> tuple[str, ...]:
    """What colours the panels, as far as the recipe names it."""
    if color is None or isinstance(color, Top):
        return ()
    return (color,) if isinstance(color, str) else color


def slot_of(color: str, declared: frozenset[str]) -> str | None:
    """The slot of a column of obs; ``None`` for a gene."""
    kind, colon, name = color.partition(":")
    if colon and kind in ("obs", "gene"):
        return f"obs/{name}" if kind == "obs" else None
    return f"obs/{color}" if f"obs/{color}" in declared else None


def panels_of(inputs: Inputs, params: Colored) -> Iterator[Shown]:
    """What the panels show, in order."""
    if params.color is None:
        yield Shown("", None)
        return
    if isinstance(params.color, Top):
        genes = _best(inputs, params.color)
    else:
        genes = []
        for color in colors_of(params.color):
            slot = slot_of(color, frozenset(inputs))
            if slot is not None:
                yield Shown(name_of(slot), inputs[slot].read())
            else:
                yield _expression(inputs, color.removeprefix("gene:"))
    for gene in genes:
        yield _expression(inputs, gene)


def _best(inputs: Inputs, best: Top) -> list[str]:
    """The names of the genes that rank first; genes without a value are never among them."""
    import numpy as np

    ranking = np.asarray(inputs["ranking"].read(), dtype=np.float64)
    order = np.argsort(-ranking if best.descending else ranking, kind="stable")
    ranked = order[~np.isnan(ranking[order])]
    if not len(ranked):
        raise DataError("data.values", "no gene has a rank", where=Where(slot=f"var/{best.by}"))
    names = inputs["genes"].read()
    return [str(names[position]) for position in ranked[: best.top]]


def _expression(inputs: Inputs, gene: str) -> Shown:
    """One gene's values over the spots."""
    import numpy as np

    names = inputs["genes"].read()
    found = np.flatnonzero(names == gene)
    if not len(found):
        raise DataError(
            "data.values", f"no gene and no column of obs is called {gene!r}", hint=nearest_genes(gene, names)
        )
    layer = next(port for port in inputs if port.startswith("layers/"))
    column = inputs[layer].columns(int(found[0]), int(found[0]) + 1)
    return Shown(gene, column.toarray().ravel(), name_of(layer))


def nearest_genes(gene: str, names: np.ndarray) -> str | None:
    """Genes of a similar name, whatever its case: mouse and human symbols differ in nothing else."""
    from difflib import get_close_matches

    by_upper = {str(name).upper(): str(name) for name in names}
    near = [by_upper[match] for match in get_close_matches(gene.upper(), by_upper, n=3)]
    return f"Did you mean {' or '.join(near)}?" if near else None

"""Patterns of many genes as functions of the place, evaluated only where they are asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spatialrun.methods.simulate.counts import PATTERNS

SAMPLE = 20_000
"""At most so many places tell a pattern's range and mean."""
CENTRES = 3


@dataclass(frozen=True, eq=False)
class Patterns:
    """Effects of place on K genes, one row each; what a gene's kind of pattern does not use is drawn and idle.

    Attributes
    ----------
    kind
        (K,) index into ``PATTERNS``.
    effect_size
        (K,) log2 of the effect at the pattern's highest over its lowest place.
    sign, direction, domain, centres, width, period, phase
        (K,), (K, 2), (K,), (K, 3, 2), (K,), (K,), (K,): the shapes.
    low, span, mean
        (K,) each: a shape's range, and the effect's depth-weighted mean.
    """

    kind: np.ndarray
    effect_size: np.ndarray
    sign: np.ndarray
    direction: np.ndarray
    domain: np.ndarray
    centres: np.ndarray
    width: np.ndarray
    period: np.ndarray
    phase: np.ndarray
    low: np.ndarray
    span: np.ndarray
    mean: np.ndarray

    def __call__(self, gene: np.ndarray, place: np.ndarray, domain: np.ndarray) -> np.ndarray:
        """(E,): the effect on genes (E,) at places (E, 2) of domains (E,); its depth-weighted mean is 1."""
        shape = np.clip((self._shape(gene, place, domain) - self.low[gene]) / self.span[gene], 0.0, 1.0)
        effect: np.ndarray = np.exp2(self.effect_size[gene] * shape) / self.mean[gene]
        return effect

    @property
    def highest(self) -> np.ndarray:
        """(K,): what an effect is at most."""
        highest: np.ndarray = np.exp2(self.effect_size) / self.mean
        return highest

    def _shape(self, gene: np.ndarray, place: np.ndarray, domain: np.ndarray) -> np.ndarray:
        shape = np.empty(len(gene))
        kind = self.kind[gene]
        for number, name in enumerate(PATTERNS):
            mine = np.flatnonzero(kind == number)
            g, at = gene[mine], place[mine]
            along = (at * self.direction[g]).sum(axis=1)
            if name == "domain":
                shape[mine] = domain[mine] == self.domain[g]
            elif name == "gradient":
                shape[mine] = along
            elif name == "hotspot":
                apart = ((at[:, None] - self.centres[g]) ** 2).sum(axis=2)
                shape[mine] = np.exp(-apart / (2 * self.width[g, None] ** 2)).sum(axis=1)
            else:
                shape[mine] = np.cos(2 * np.pi * (along / self.period[g] + self.phase[g]))
        signed: np.ndarray = shape * self.sign[gene]
        return signed


def draw_patterns(
    rng: np.random.Generator,
    kind: np.ndarray,
    effect_size: np.ndarray,
    place: np.ndarray,
    domain: np.ndarray,
    depth: np.ndarray,
) -> Patterns:
    """Draw a pattern for each of K genes.

    Parameters
    ----------
    rng
        The generator.
    kind, effect_size
        (K,) each: index into ``PATTERNS``, and log2 of the highest over the lowest effect.
    place, domain, depth
        (N, 2), (N,) and (N,) of the spots; the longer side of the places is 1.
    """
    n = len(kind)
    angle = rng.uniform(0, 2 * np.pi, n)
    chosen = place[rng.integers(len(place), size=(n, CENTRES))]
    # One to three centres: those that are left out lie on another one, at no distance that would count twice.
    extra = np.arange(CENTRES) >= rng.integers(1, CENTRES + 1, n)[:, None]
    chosen = np.where(extra[..., None], np.full(2, 1e6), chosen)
    values, labels = np.unique(domain), rng.random(n)
    shapes = {
        "kind": kind,
        "effect_size": effect_size,
        "sign": np.where(rng.random(n) < 0.5, -1.0, 1.0),
        "direction": np.column_stack([np.cos(angle), np.sin(angle)]),
        "domain": values[(labels * len(values)).astype(int)],
        "centres": chosen,
        "width": rng.uniform(0.08, 0.2, n),
        "period": rng.uniform(0.2, 0.5, n),
        "phase": rng.random(n),
    }
    some = np.linspace(0, len(place) - 1, min(len(place), SAMPLE)).astype(int)
    at, of, weight = place[some], domain[some], depth[some] / depth[some].sum()
    bare = Patterns(**shapes, low=np.zeros(n), span=np.ones(n), mean=np.ones(n))
    low, span, mean = np.zeros(n), np.ones(n), np.ones(n)
    for gene in range(n):
        shape = bare._shape(np.full(len(some), gene), at, of)
        low[gene], span[gene] = shape.min(), max(np.ptp(shape), 1e-12)
        mean[gene] = weight @ np.exp2(effect_size[gene] * (shape - low[gene]) / span[gene])
    return Patterns(**shapes, low=low, span=span, mean=mean)

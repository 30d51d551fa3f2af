"""Which domains a domain borders on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Log = Callable[[str], None]

SAMPLED = 2000
"""Most spots whose distances to each other are looked at to bracket the radius."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """How far around a domain its neighbours are looked for, and what makes a neighbour."""

    num_min: float = 10.0
    num_max: float = 14.0
    """Spots within the radius of a spot of the domain, on average and with the spot itself."""
    radius_quantiles: tuple[float, float] = (0.001, 0.1)
    """Of the distances between spots: where the radius is looked for first."""
    max_run: int = 100
    """Halvings of the bracket."""
    ratio: float = 0.5
    """A neighbour's spots within the radius, counted once for each spot of the domain, over its size."""
    num_neighbours: int = 3
    """Most neighbours; those with most spots within the radius."""


def search_radius(places: Array, target: NDArray[np.bool_], options: Surroundings, log: Log) -> float:
    """A radius that holds ``num_min`` to ``num_max`` spots around a spot of the domain.

    Parameters
    ----------
    places
        (N, 2), any unit.
    target
        (N,) the domain's spots, one at least.
    options
        See `Surroundings`.
    log
        Told when there is no such radius: on a lattice counts jump. The nearest number's radius is taken then.
    """
    from scipy.spatial import cKDTree

    domain, tree = cKDTree(places[target]), cKDTree(places)

    def mean_count(radius: float) -> float:
        return float(domain.count_neighbors(tree, radius) / domain.n)

    low, high = _bracket(places, options.radius_quantiles)
    while mean_count(high) < min(options.num_min, tree.n):
        high *= 2.0
    while mean_count(low) > options.num_max and low > high * 1e-9:
        low /= 2.0
    wanted = (options.num_min + options.num_max) / 2.0
    tried = {radius: mean_count(radius) for radius in (low, high)}
    for _ in range(options.max_run):
        radius = min(tried, key=lambda r: abs(tried[r] - wanted))
        if options.num_min <= tried[radius] <= options.num_max or high - low < 1e-9 * high:
            break
        middle = (low + high) / 2.0
        tried[middle] = mean_count(middle)
        low, high = (middle, high) if tried[middle] < options.num_min else (low, middle)
    radius = min(tried, key=lambda r: abs(tried[r] - wanted))
    if not options.num_min <= tried[radius] <= options.num_max:
        log(
            f"no radius holds {options.num_min:g} to {options.num_max:g} spots; "
            f"{radius:.4g} holds {tried[radius]:.1f} and is taken."
        )
    return radius


def _bracket(places: Array, quantiles: tuple[float, float]) -> tuple[float, float]:
    from scipy.spatial.distance import pdist

    distances = pdist(places[:: max(1, -(-len(places) // SAMPLED))])
    distances = distances[distances > 0]
    if len(distances) == 0:
        return 0.5, 1.0
    low, high = np.quantile(distances, quantiles)
    return float(low), float(high)


def pairs_within(places: Array, codes: NDArray[np.integer], target: int, radius: float) -> dict[int, int]:
    """How often spots of each other domain lie within the radius of a spot of ``target``.

    Parameters
    ----------
    places
        (N, 2).
    codes
        (N,) domains from 0; below 0: no domain.
    target
        Of ``codes``.
    radius
        From `search_radius`.

    Returns
    -------
    Pairs by code, for every other domain that occurs.
    """
    from scipy.spatial import cKDTree

    domain = cKDTree(places[codes == target])
    others = [int(code) for code in np.unique(codes) if code >= 0 and code != target]
    return {code: int(domain.count_neighbors(cKDTree(places[codes == code]), radius)) for code in others}


def neighbours(pairs: Mapping[int, int], sizes: Mapping[int, int], options: Surroundings) -> list[int]:
    """Domains around another, those with most spots within the radius first.

    Parameters
    ----------
    pairs
        From `pairs_within`; of a cohort, summed over its samples.
    sizes
        Spots of each domain, in the samples that were looked at.
    options
        See `Surroundings`.

    Returns
    -------
    Codes; where no domain is frequent enough the most frequent one alone, and none where there are no others.
    """
    ordered = sorted((code for code in pairs if pairs[code]), key=lambda code: (-pairs[code], code))
    frequent = [code for code in ordered if pairs[code] > options.ratio * sizes[code]]
    return frequent[: options.num_neighbours] or ordered[:1]

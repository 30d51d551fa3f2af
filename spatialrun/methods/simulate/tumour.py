"""A tumour in its surroundings: nests with dead centres, stroma around them, the organ that they grow into."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spatialrun.methods.simulate.image import Stain
from spatialrun.methods.simulate.tissue import Outline, choose_spots, draw_outline

_LOOKS: dict[str, tuple[tuple[int, int, int], float]] = {
    "tumour": ((201, 152, 196), 1 / 130),
    "proliferating tumour": ((190, 140, 196), 1 / 100),
    "interferon tumour": ((205, 158, 190), 1 / 140),
    "hypoxic tumour": ((212, 160, 188), 1 / 170),
    "invasive front": ((196, 146, 186), 1 / 150),
    "necrosis": ((236, 196, 204), 1 / 900),
    "desmoplastic stroma": ((238, 172, 200), 1 / 420),
    "quiescent stroma": ((240, 194, 214), 1 / 600),
    "macrophage rim": ((214, 170, 200), 1 / 220),
    "lymphoid follicle": ((160, 128, 190), 1 / 70),
    "plasma niche": ((196, 158, 204), 1 / 140),
    "vessel": ((228, 150, 178), 1 / 300),
    "epithelium": ((208, 150, 204), 1 / 120),
    "muscle": ((232, 142, 172), 1 / 350),
    "adipose": ((238, 226, 232), 1 / 1500),
}
"""Tint and nuclei per square micrometre of each domain, on a section stained with haematoxylin and eosin."""

DOMAINS = tuple(_LOOKS)
_NUMBER = {name: number for number, name in enumerate(DOMAINS, start=1)}

MIDDLE = (0.5, 0.58)
"""Where on the slide sections lie, more or less."""
FRONT, RIM, HALO = 0.05, 0.11, 0.17
"""How deep the invasive front, and how wide the rim of macrophages and the desmoplastic stroma, in radii."""


def stain() -> Stain:
    """What the domains look like."""
    tints, nuclei = zip(*_LOOKS.values(), strict=True)
    return Stain(np.array(tints, dtype=float), np.array(nuclei))


@dataclass(frozen=True, eq=False)
class Waves:
    """A smooth random function of the place, of zero mean and unit variance over the plane."""

    frequency: np.ndarray
    phase: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, shortest: float, longest: float, n: int = 12) -> Waves:
        """Of waves with lengths between the two, in every direction."""
        angle, length = rng.uniform(0, 2 * np.pi, n), rng.uniform(shortest, longest, n)
        frequency = 2 * np.pi / length * np.array([np.cos(angle), np.sin(angle)])
        return cls(frequency, rng.uniform(0, 2 * np.pi, n))

    def __call__(self, place: np.ndarray) -> np.ndarray:
        """(...) for (..., 2) places."""
        total = np.zeros(place.shape[:-1])
        for (along_x, along_y), phase in zip(self.frequency.T, self.phase, strict=True):
            total += np.cos(place[..., 0] * along_x + place[..., 1] * along_y + phase)
        scaled: np.ndarray = total * np.sqrt(2 / len(self.phase))
        return scaled


@dataclass(frozen=True, eq=False)
class Tumour:
    """Domains by the rules of a growth: what is where depends on the distance to the nests and on the borders.

    Lengths are in radii of the section.
    """

    outline: Outline
    nests: np.ndarray
    """x, y and radius of every nest of tumour cells, the largest first."""
    follicles: np.ndarray
    """x, y and radius of lymphoid follicles."""
    vessels: np.ndarray
    """x, y and radius of vessels."""
    inward: np.ndarray
    """Unit vector from the muscle to the epithelium."""
    warp: tuple[Waves, Waves]
    spread: tuple[Waves, Waves, Waves]
    """Where cells divide, where there is interferon, where stroma is infiltrated."""

    def domain(self, um: np.ndarray) -> np.ndarray:
        """1 to 15, in the order of ``DOMAINS`` (int32)."""
        straight = (um - self.outline.centre) / self.outline.radius.mean()
        place = straight + 0.06 * np.stack([wave(straight) for wave in self.warp], axis=-1)
        dividing, interferon, infiltrate = (wave(straight) for wave in self.spread)
        up = place @ self.inward
        side = place @ np.array([-self.inward[1], self.inward[0]])

        found = np.full(um.shape[:-1], _NUMBER["quiescent stroma"], dtype=np.int32)

        def mark(name: str, where: np.ndarray) -> None:
            found[where] = _NUMBER[name]

        mark("adipose", (side > 0.55) & (up < 0.25))
        mark("muscle", up < -0.62)
        mark("plasma niche", (infiltrate < -0.75) & (np.abs(up) < 0.6) & (side < 0.5))
        mark("epithelium", up > 0.68)
        mark("vessel", _distance(place, self.vessels) < 0)
        mark("lymphoid follicle", _distance(place, self.follicles) < 0)

        outside = _distance(place, self.nests)
        mark("desmoplastic stroma", outside < HALO)
        mark("macrophage rim", (outside < RIM) & (infiltrate > 0.35))
        mark("tumour", outside < 0)
        mark("proliferating tumour", (outside < 0) & (dividing > 0.6))
        mark("interferon tumour", (outside < 0) & (interferon > 0.6) & (dividing <= 0.6))
        mark("invasive front", (outside < 0) & (outside > -FRONT))
        core = _distance(place, self.nests[:1]) / self.nests[0, 2]
        mark("hypoxic tumour", core < -0.4)
        mark("necrosis", core < -0.62)
        return found


def draw_tumour(rng: np.random.Generator, um: np.ndarray, n_spots: int) -> tuple[np.ndarray, Tumour]:
    """Which places of an array (M, 2; micrometres) lie on a section through a tumour; the tumour."""
    chosen, outline = choose_spots(rng, um, draw_outline(rng, um, MIDDLE), n_spots)
    # Where spots are fewer than the slide has, the section is smaller than its outline's radius.
    outline = Outline(
        outline.frame_um, outline.centre, outline.radius * outline.edge, outline.waves, edge=1.0
    )
    angle = rng.uniform(0, 2 * np.pi)
    inward = np.array([np.cos(angle), np.sin(angle)])
    along = np.array([-inward[1], inward[0]])
    nests = np.array(
        [
            [*(0.05 * inward - rng.uniform(0.1, 0.25) * along), rng.uniform(0.42, 0.48)],
            [*(rng.uniform(0.2, 0.35) * inward + rng.uniform(0.45, 0.6) * along), rng.uniform(0.2, 0.26)],
            [*(-0.45 * inward + rng.uniform(0.1, 0.3) * along), rng.uniform(0.14, 0.2)],
        ]
    )
    return chosen, Tumour(
        outline=outline,
        nests=nests,
        follicles=_scattered(rng, nests, n=3, radius=(0.13, 0.17)),
        vessels=_scattered(rng, nests, n=5, radius=(0.08, 0.11)),
        inward=inward,
        warp=(Waves.draw(rng, 0.5, 1.2), Waves.draw(rng, 0.5, 1.2)),
        spread=(Waves.draw(rng, 0.4, 0.9), Waves.draw(rng, 0.5, 1.0), Waves.draw(rng, 0.5, 1.0)),
    )


def _distance(place: np.ndarray, discs: np.ndarray) -> np.ndarray:
    """Distance to the border of the nearest disc, negative within."""
    nearest = np.full(place.shape[:-1], np.inf)
    for x, y, radius in discs:
        nearest = np.minimum(nearest, np.hypot(place[..., 0] - x, place[..., 1] - y) - radius)
    return nearest


def _scattered(
    rng: np.random.Generator, nests: np.ndarray, *, n: int, radius: tuple[float, float]
) -> np.ndarray:
    """Discs in the stroma: of many places those that are farthest from tumour, and from each other."""
    angle, distance = rng.uniform(0, 2 * np.pi, 200), np.sqrt(rng.uniform(0.05, 0.6, 200))
    places = np.column_stack([distance * np.cos(angle), distance * np.sin(angle)])
    free = places[_distance(places, nests) > HALO]
    chosen = [free[0] if len(free) else places[0]]
    for _ in range(n - 1):
        apart = np.min([np.hypot(*(free - other).T) for other in chosen], axis=0) if len(free) else []
        chosen.append(free[int(np.argmax(apart))] if len(free) else places[len(chosen)])
    return np.column_stack([np.array(chosen), rng.uniform(*radius, n)])

"""How close are DeepST's domains to the experts' layers, what do they cost, and do samples mix?

    python tests/benchmarks/deepst.py [FOLDER] [--seeds 3] [--only accuracy|cohort|scale] [--spots 50000]

prints adjusted Rand indices by section and seed, without the tissue image and with it (lowres, texture);
of both sections integrated, with the adversary and without, and how well samples mix (entropy of the samples
among 30 neighbours in the embedding, 1 is best); and the cost of 50 + 50 epochs on simulated spots. Seconds
are of the processor's time (user), memory is the peak of all so far. FOLDER holds
``dlpfc_151673`` and ``dlpfc_151675``.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from domains import DEFAULT, N_DOMAINS, SECTIONS, Section
from scipy.sparse import random as random_sparse
from sklearn.metrics import adjusted_rand_score

from spatialrun.methods import deepst
from spatialrun.methods.expression_graph import neighbor_graph
from spatialrun.methods.image_features.texture import texture
from spatialrun.methods.image_features.tiles import leading, tiles
from spatialrun.steps import catalogue
from spatialrun.steps.contract import Shape

EXPRESSION = deepst.Augmentation()
SHARED = catalogue.get("integrate.deepst").Params()
"""What ``integrate.deepst`` is asked for by default."""
SEVEN = deepst.Partitioning(n_domains=N_DOMAINS)


def used() -> tuple[float, float]:
    """Seconds of this process, and its peak memory in GB."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime, usage.ru_maxrss / 1e6


def accuracy(folder: Path, seeds: Sequence[int]) -> None:
    """One section at a time."""
    for name in SECTIONS:
        own = Section(folder / name)
        cut = tiles(own.image, own.places, own.scale, 2 * own.diameter)
        for kind, features in (("", None), (", image", leading(texture(cut), 50))):
            scores = []
            for seed in seeds:
                before = used()[0]
                prepared = deepst.components([own.counts], [own.places], EXPRESSION, features=features)
                middle = used()[0]
                (found,) = deepst.domains(prepared, [own.places], SEVEN, deepst.Schedule(seed=seed))
                scores.append(adjusted_rand_score(own.truth, found.refined))
                seconds, peak = used()
                n_domains = len(np.unique(found.refined))
                print(
                    f"{name}{kind}, seed {seed}: ARI {scores[-1]:.3f}, {n_domains} domains, "
                    f"{middle - before:.1f} + {seconds - middle:.1f} s, {peak:.2f} GB",
                    flush=True,
                )
            print(f"{name}{kind}: mean {np.mean(scores):.3f}", flush=True)


def cohort(folder: Path, seeds: Sequence[int]) -> None:
    """Both sections together."""
    sections = [Section(folder / name) for name in SECTIONS]
    places = [own.places for own in sections]
    shared = deepst.on_shared_genes([own.counts for own in sections], [own.genes for own in sections])
    prepared = deepst.components(shared, places, EXPRESSION)
    for seed in seeds:
        for weight in (0.0, SHARED.adversary_weight):
            schedule = deepst.Schedule(seed=seed, adversary_weight=weight, lr=SHARED.lr)
            found = deepst.domains(prepared, places, SEVEN, schedule)
            scores = " ".join(
                f"{adjusted_rand_score(own.truth, part.refined):.3f}"
                for own, part in zip(sections, found, strict=True)
            )
            mixed = mixing([part.embedding for part in found])
            n_domains = len(np.unique(np.concatenate([part.refined for part in found])))
            print(
                f"seed {seed}, adversary {weight:g}: ARI {scores}, mixing {mixed:.3f}, {n_domains} domains",
                flush=True,
            )


def mixing(embeddings: Sequence[np.ndarray], k: int = 30) -> float:
    """Mean entropy of the samples among k neighbours, in units of the largest possible."""
    sample = np.repeat(np.arange(len(embeddings)), list(map(len, embeddings)))
    near = neighbor_graph(np.concatenate(embeddings), k + 1).distances
    member = np.eye(len(embeddings))[sample[near.indices]].reshape(len(sample), k, -1)
    shares = member.mean(axis=1)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=1)
    return float(entropy.mean() / np.log(len(embeddings)))


def scale(n_spots: int) -> None:
    """Simulated spots: 2,000 genes, a fifth of them seen in each spot."""
    side = int(np.ceil(n_spots**0.5))
    row, column = np.divmod(np.arange(n_spots), side)
    places = np.column_stack([column + row % 2 / 2, row * 0.866])
    rng = np.random.default_rng(0)
    counts = random_sparse(
        n_spots, 2000, 0.2, format="csc", rng=rng, data_rvs=lambda n: rng.geometric(0.5, n)
    )
    before = used()[0]
    prepared = deepst.components([counts], [places], EXPRESSION)
    middle = used()[0]
    deepst.domains(prepared, [places], SEVEN, deepst.Schedule(pre_epochs=50, epochs=50))
    seconds, peak = used()
    step = catalogue.get("domains.deepst")
    estimate = step.memory(Shape(n_spots, counts.shape[1], counts.nnz), step.Params()) / 1e9
    print(
        f"{n_spots} spots, 50 + 50 epochs: {middle - before:.0f} + {seconds - middle:.0f} s, {peak:.2f} GB; "
        f"the step's estimate is {estimate:.2f} GB over the interpreter's own"
    )


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=["accuracy", "cohort", "scale"])
    parser.add_argument("--spots", type=int, default=50_000)
    arguments = parser.parse_args()
    seeds = range(arguments.seeds)
    if arguments.only in (None, "accuracy"):
        accuracy(arguments.folder, seeds)
    if arguments.only in (None, "cohort"):
        cohort(arguments.folder, seeds)
    if arguments.only in (None, "scale"):
        scale(arguments.spots)


if __name__ == "__main__":
    main()

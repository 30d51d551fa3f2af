"""The score test's bits do not depend on what is in the compiler's cache."""

import os
import subprocess
import sys

import pytest

SCORES = """
import hashlib
import numpy as np
from spatialrun.methods.simulate import simulate_visium
from spatialrun.methods.spatialde import Kernel, score_block, setup

section = simulate_visium(n_spots=150, n_genes=300, n_svg=20, image_size=64, seed=3)
sizes = np.asarray(section.counts.sum(axis=1)).ravel()
prepared = setup(section.spatial, sizes, [Kernel("SE", 400.0), Kernel("PER", 900.0)])
scores = score_block(prepared, section.counts.indptr, section.counts.indices, section.counts.data)
content = b"".join(scores[name].tobytes() for name in sorted(scores))
print(hashlib.sha256(content).hexdigest())
"""


def scores_with_cache_in(folder):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder)}
    command = [sys.executable, "-c", SCORES]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_bits_are_the_same_compiled_from_the_cache_and_with_parts_of_it_lost(tmp_path):
    fresh = scores_with_cache_in(tmp_path)
    assert scores_with_cache_in(tmp_path) == fresh
    kept = sorted(tmp_path.rglob("*.nb*"))
    assert kept
    for path in kept:
        if "fit_block" in path.name or "mixture_log_tails" in path.name:
            path.unlink()
    assert scores_with_cache_in(tmp_path) == fresh

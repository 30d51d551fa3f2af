from __future__ import annotations

import numpy as np
import pytest

from spatialrun.methods.refine import refine


@pytest.fixture
def places() -> np.ndarray:
    """A hexagonal array of 12 x 12."""
    row, column = np.divmod(np.arange(144), 12)
    return np.column_stack([2 * column + row % 2, np.sqrt(3) * row]).astype(float)


def test_a_lone_spot_joins_its_surroundings(places):
    labels = np.zeros(144, dtype=np.int32)
    labels[[66, 5, 6]] = 1
    labels[120:] = 1
    refined = refine(labels, places)
    assert refined[66] == 0
    assert (refined[120:] == 1).all()


def test_the_shape_says_how_many_vote():
    """Two of six neighbours and the spot itself are not fewer than half of six; of four they are one in five."""
    places = np.array([[0, 0], [1, 0], [0, 1.1], [-1.2, 0], [0, -1.3], [1, 1.3], [-1.4, 1]], dtype=float)
    labels = np.array([0, 1, 1, 1, 1, 0, 0], dtype=np.int32)
    assert refine(labels, places, "hexagon")[0] == 0
    assert refine(labels, places, "square")[0] == 1
    assert refine(labels, places, "none") is labels


def test_no_domain_is_lost(places):
    labels = np.zeros(144, dtype=np.int32)
    labels[66] = 1
    np.testing.assert_array_equal(refine(labels, places), labels)


def test_against_the_rule_written_out(places):
    labels = np.random.default_rng(0).integers(0, 3, 144).astype(np.int32)
    distance = np.linalg.norm(places[:, None] - places, axis=-1)
    refined = refine(labels, places)
    interior = [s for s in range(144) if (distance[s] < 2.1).sum() == 7]
    for spot in interior:
        votes = np.bincount(labels[distance[spot] < 2.1], minlength=3)
        moves = votes[labels[spot]] < 3 and votes.max() > 3
        assert refined[spot] == (votes.argmax() if moves else labels[spot])

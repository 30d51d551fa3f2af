"""Transformations as spatialdata writes them, as matrices over x and y."""

import numpy as np
import pytest

from spatialrun.readers.coordinate_systems import matrix_of, pixels_per_unit, shared, systems_of

CYX = ("c", "y", "x")


def axes(names: str) -> dict:
    return {"axes": [{"name": name} for name in names]}


@pytest.mark.parametrize(
    ("how", "order", "expected"),
    [
        ({"type": "identity"}, CYX, [[1, 0, 0], [0, 1, 0]]),
        ({"type": "scale", "scale": [1, 2, 3]}, CYX, [[3, 0, 0], [0, 2, 0]]),
        ({"type": "scale", "scale": [2, 3]}, "xy", [[2, 0, 0], [0, 3, 0]]),
        ({"type": "scale", "scale": [2, 3], "input": axes("yx")}, "xy", [[3, 0, 0], [0, 2, 0]]),
        ({"type": "translation", "translation": [0, 5, 7]}, CYX, [[1, 0, 7], [0, 1, 5]]),
        ({"type": "affine", "affine": [[1, 2, 3], [4, 5, 6]]}, "xy", [[1, 2, 3], [4, 5, 6]]),
        ({"type": "affine", "affine": [[1, 2, 3], [4, 5, 6]]}, "yx", [[5, 4, 6], [2, 1, 3]]),
        (
            {"type": "affine", "affine": [[1, 2, 3], [4, 5, 6]], "output": axes("yx")},
            "xy",
            [[4, 5, 6], [1, 2, 3]],
        ),
        ({"type": "rotation", "rotation": [[0, 1], [-1, 0]]}, "xy", [[0, 1, 0], [-1, 0, 0]]),
        ({"type": "mapAxis", "mapAxis": {"x": "y", "y": "x"}}, "xy", [[0, 1, 0], [1, 0, 0]]),
        (
            {
                "type": "sequence",
                "transformations": [
                    {"type": "translation", "translation": [0, 1, 2]},
                    {"type": "scale", "scale": [1, 10, 10]},
                ],
            },
            CYX,
            [[10, 0, 20], [0, 10, 10]],
        ),
    ],
)
def test_kinds(how, order, expected):
    np.testing.assert_array_equal(matrix_of([how], order), [*expected, [0, 0, 1]])


def test_a_kind_that_is_not_known():
    assert matrix_of([{"type": "identity"}, {"type": "displacements"}], "xy") is None
    within = {"type": "sequence", "transformations": [{"type": "byDimension"}]}
    assert matrix_of([within], "xy") is None


def test_names_of_systems():
    assert list(systems_of([], CYX)) == ["global"]
    named = {"type": "identity", "output": {"name": "aligned"}}
    assert list(systems_of([named, {"type": "identity"}, {"type": "identity", "output": "b"}], CYX)) == [
        "aligned",
        "global",
        "b",
    ]


def test_which_system():
    own, larger = np.eye(3), np.diag([4.0, 4.0, 1.0])
    image = {"down": own, "full": larger, "global": larger}
    assert shared({"down": larger, "global": larger, "full": own}, image, []) == "global"
    assert shared({"down": larger, "full": own}, image, []) == "full"
    assert shared({"down": larger}, image, []) == "down"
    assert shared(None, image, [image, {"full": own}]) == "global"


def test_a_hair_of_a_shift_is_allowed():
    """As rounding in an alignment leaves it; a thousandth of the image, or a pixel."""
    image = np.array([[10.0, 0, 3], [0, 10, -4], [0, 0, 1]])
    assert pixels_per_unit({"s": np.eye(3)}, {"s": image}, "s", (500, 600)) == pytest.approx(0.1)

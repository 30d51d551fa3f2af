import pytest

from spatialrun.errors import RecipeError, Where
from spatialrun.recipe import in_order
from spatialrun.recipe.problems import choices, nearest, unknown


@pytest.mark.parametrize(
    ("name", "valid", "found"),
    [
        ("n_svgs", ["n_svg", "layer"], "n_svg"),
        ("spatialde", ["svg.spatialde", "plot.spatial"], "svg.spatialde"),
        ("svg.spatialed", ["svg.spatialde", "svg.moran"], "svg.spatialde"),
        ("Layer", ["layer"], "layer"),
        ("layer", ["Layer"], "Layer"),
        ("zzz", ["n_svg"], None),
        ("", ["n_svg"], None),
        ("x", [], None),
    ],
)
def test_nearest(name, valid, found):
    assert nearest(name, valid) == found


def test_words():
    assert unknown("key", "stor", ["store"]) == "unknown key 'stor'; did you mean 'store'?"
    assert unknown("key", "zz", ["store"], of="a step") == "unknown key 'zz' of a step"
    assert choices([]) == "none"
    assert choices(["a", "b"]) == "a, b"
    assert choices([str(n) for n in range(30)]).endswith("19 ... (30 in all)")


def test_order_of_places():
    def at(line, column=None):
        return RecipeError("recipe.cycle", "x", where=Where(file="r", line=line, column=column))

    last, third, first, second = at(None), at(2, 1), at(1, 2), at(1, 3)
    assert in_order([last, third, first, second]) == [first, second, third, last]

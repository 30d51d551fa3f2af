import pytest

from spatialrun.recipe.composer import compose
from spatialrun.recipe.ids import step_ids
from spatialrun.recipe.problems import Problems
from spatialrun.recipe.source import Source


@pytest.mark.parametrize(
    ("steps", "ids"),
    [
        ("[{uses: a.b}, {uses: c}]", ("b", "c")),
        ("[{uses: a.b}, {uses: c.b}, {uses: a.b}]", ("b", "b-2", "b-3")),
        ("[{uses: a.b}, {uses: a.b, id: b}]", ("b-2", "b")),
        ("[{uses: a.b}, {uses: a.b}, {uses: x, id: b-2}]", ("b", "b-3", "b-2")),
        ("[{uses: a.b, id: x}, {uses: a.b}]", ("x", "b")),
        ("[{id: x}, {}, text, {uses: [a]}, {uses: a, id: ~}]", ("x", "", "", "", "a")),
        ("text", ()),
    ],
)
def test_ids(steps, ids):
    assert step_ids(compose(Source("r", steps), Problems())) == ids

"""Extras: all are known, and by the modules that they bring."""

import tomllib

import pytest
from lab import TESTS

from spatialrun.extras import EXTRAS, extra_of, install


def test_every_extra_is_looked_for():
    """But those that hold others, and the one that needs an environment of its own."""
    project = tomllib.loads((TESTS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert EXTRAS.keys() == extras.keys() - {"all", "test", "spatialdata"}
    for extra, name in EXTRAS.items():
        assert extras[extra][0].startswith(name)


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("skimage", "image"),
        ("obstore", "cloud"),
        ("torch", "deepst"),
        ("torch_geometric", "deepst"),
        ("numpy", None),
        ("", None),
    ],
)
def test_modules_are_known_by_their_extras(module, extra):
    assert extra_of(module) == extra


def test_the_command_is_quoted_for_shells():
    assert install("image") == "pip install 'spatialrun[image]'"

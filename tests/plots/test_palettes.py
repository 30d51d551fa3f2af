import subprocess
import sys

import numpy as np
import pytest

from spatialrun.plots import palettes

# Machado, Oliveira and Fernandes (2009), severity 1, on linear rgb.
DEUTERANOPE = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
)
PROTANOPE = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)


def oklab(colors, sight):
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colors])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    cones = np.clip(linear @ sight.T, 0, 1) @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.cbrt(cones) @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


def closest_pair(colors, sight):
    lab = oklab(colors, sight)
    distances = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    return distances[np.triu_indices(len(colors), 1)].min()


@pytest.mark.parametrize(
    "sight", [np.eye(3), DEUTERANOPE, PROTANOPE], ids=["normal", "deuteranope", "protanope"]
)
@pytest.mark.parametrize(("count", "apart"), [(8, 0.10), (12, 0.09), (30, 0.05)])
def test_colours_stand_apart_for_every_sight(sight, count, apart):
    assert closest_pair(palettes.CATEGORICAL[:count], sight) > apart


def test_colours_stand_apart_from_missing_and_paper():
    for color in palettes.CATEGORICAL:
        assert closest_pair([color, palettes.MISSING, "#ffffff"], np.eye(3)) > 0.05


def test_numbers_have_the_colour_of_their_number():
    few, many = palettes.categorical(["7", "2"]), palettes.categorical(str(i) for i in range(12))
    assert few["7"] == many["7"] == palettes.CATEGORICAL[7]
    assert palettes.categorical(["Layer3"])["Layer3"] == palettes.CATEGORICAL[3]


def test_a_name_keeps_its_colour_in_any_set_without_rivals():
    alone = palettes.categorical(["WM"])["WM"]
    assert palettes.categorical(["WM", "20", "21"])["WM"] == alone
    assert palettes.categorical(["22", "WM", "WM"])["WM"] == alone


def test_order_of_names_does_not_matter():
    names = ["tumour", "stroma", "WM", "3", "1", "immune"]
    assert palettes.categorical(names) == palettes.categorical(reversed(names))


def test_ninety_categories_differ_and_more_still_have_colours():
    assert (
        len(set(palettes.categorical(f"type {letter}" for letter in map(chr, range(200, 290))).values()))
        == 90
    )
    assert len(palettes.categorical(str(i) for i in range(200))) == 200


def test_rivals_get_different_colours():
    colors = palettes.categorical(["1", "31", "121", "Layer1", "Region1"])
    assert len(set(colors.values())) == 5
    assert colors["1"] == palettes.CATEGORICAL[1]


def test_names_sort_as_a_person_would():
    names = ["Layer10", "WM", "10", "2", "-1", "Layer2", "layer3", "²"]
    assert palettes.natural_sort(names) == ["-1", "2", "10", "Layer2", "layer3", "Layer10", "WM", "²"]


def test_palettes_do_not_load_matplotlib():
    code = "import sys, spatialrun.plots.palettes; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

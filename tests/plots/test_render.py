import hashlib
import os
import re
import subprocess
import sys
import zlib

import matplotlib
import numpy as np
import pytest

from spatialrun.errors import UsageError
from spatialrun.plots.render import render
from spatialrun.plots.spatial import spatial

FORMATS = ("png", "svg", "pdf")

DIGESTS = """
import hashlib
from tests.plots.test_render import FORMATS, example, render
print(*(hashlib.sha256(render(example(), f)).hexdigest() for f in FORMATS))
"""


def example():
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 1000, (60, 2))
    image = rng.integers(0, 255, (3, 40, 50), dtype=np.uint8)
    domains = [f"domain {i % 5}" for i in range(60)]
    return spatial(
        xy, values=domains, image=image, image_scalef=0.05, title="Gene $a$", microns_per_pixel=0.5
    )


@pytest.mark.parametrize(
    ("format", "magic"), [("png", b"\x89PNG\r\n\x1a\n"), ("svg", b"<?xml"), ("pdf", b"%PDF-")]
)
def test_formats(format, magic):
    assert render(example(), format).startswith(magic)


def test_a_format_that_does_not_exist():
    with pytest.raises(UsageError, match="jpeg"):
        render(example(), "jpeg")


@pytest.mark.parametrize("format", FORMATS)
def test_no_dates_and_no_versions(format):
    content = render(example(), format)
    if format == "pdf":
        streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.S)
        content += b"".join(zlib.decompress(s) for s in streams if s[:1] == b"\x78")
    for word in (
        b"Date",
        b"date>",
        b"Software",
        b"Producer",
        matplotlib.__version__.encode(),
        b"matplotlib v",
    ):
        assert word not in content


def test_one_figure_gives_the_same_bytes_twice():
    figure = example()
    for format in FORMATS:
        assert render(figure, format) == render(figure, format) == render(example(), format)


def test_processes_agree(tmp_path, pytestconfig):
    here = " ".join(hashlib.sha256(render(example(), f)).hexdigest() for f in FORMATS)
    for seed in ("1", "2"):
        # Neither the hash seed nor the user's own settings reach a figure.
        (tmp_path / "matplotlibrc").write_text("font.size: 31\nlines.linewidth: 9\nsvg.fonttype: path\n")
        environment = os.environ | {"PYTHONHASHSEED": seed, "MATPLOTLIBRC": str(tmp_path)}
        there = subprocess.run(
            [sys.executable, "-c", DIGESTS],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
            cwd=pytestconfig.rootpath,
        )
        assert there.stdout.strip() == here


def test_text_stays_text():
    assert b">Gene $a$<" in render(example(), "svg")
    assert b"/CIDFontType2" in render(example(), "pdf")


def test_dpi_scales_the_pixels():
    width = [int.from_bytes(render(example(), dpi=dpi)[16:20], "big") for dpi in (50, 100)]
    assert width[1] == pytest.approx(2 * width[0], abs=2)


def test_settings_of_the_process_are_left_alone():
    before = dict(matplotlib.rcParams)
    render(example())
    assert dict(matplotlib.rcParams) == before

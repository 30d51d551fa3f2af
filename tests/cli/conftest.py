"""A small simulated store, and the program called as a shell would call it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from spatialrun.api import load
from spatialrun.cli import main
from spatialrun.execute.apply import Options

RECIPE = """\
spatialrun: 1
store: store
samples:
  p1: {group: normal}
  p2: {group: tumor}
steps:
  - id: section
    uses: simulate.visium
    with: {n_spots: 60, n_genes: 40, n_svg: 5, image_size: 64}
  - id: read
    uses: read.visium
  - uses: normalize.log
  - id: depth
    uses: plot.spatial
    with: {color: total_counts, channels: null, dpi: 40}
  - id: genes
    uses: export.table
    with: {path: "tables/{sample}.csv", what: var}
"""


@dataclass(frozen=True)
class Result:
    """How a call ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Call = Callable[..., Result]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the program with some words; streams are no terminals."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "CI", "SPATIALRUN_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")

    def call(*words: object) -> Result:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Result(code, *capsys.readouterr())

    return call


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write the recipe, edited, where nothing has been computed."""

    def write(*edits: tuple[str, str], name: str = "recipe.yaml") -> Path:
        text = RECIPE
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture(scope="session")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe, applied: tests may read its store and plan against it, not change it."""
    path = tmp_path_factory.mktemp("cli") / "recipe.yaml"
    path.write_text(RECIPE)
    outcome = load(path).apply(Options(jobs=1))
    assert not outcome.errors
    return path


@pytest.fixture
def store(applied: Path) -> Path:
    """The store of the recipe that was applied."""
    return applied.parent / "store"

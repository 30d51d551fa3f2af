"""A small catalogue with one step type for every kind of parameter, so that these tests need no method."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytest
from pydantic import model_validator

from spatialrun.errors import RecipeErrors, SpatialrunError
from spatialrun.recipe import Recipe, loads
from spatialrun.steps.contract import Parameters, Step, parameter


class Idle(Step):
    def run(self, inputs: Any, params: Any, context: Any) -> dict[str, Any]:
        return {}


class Kernel(Parameters):
    scale: float = parameter(help="Length scale.", unit="pixels", gt=0)
    kind: Literal["gauss", "cosine"] = "gauss"


class SpatialDE(Idle):
    """Test every gene."""

    name = "svg.spatialde"

    class Params(Parameters):
        layer: str = parameter("counts", "Layer to test.")
        obs_dist: Literal["normal", "negative_binomial"] = parameter("normal", "Distribution of counts.")
        n_svg: int = parameter(500, "How many genes to mark.", unit="genes", ge=1, late=True)
        threshold: float = parameter(0.05, "Largest adjusted p.", gt=0, lt=1)
        robust: bool = parameter(False, "Whether to clip.")
        kernels: list[Kernel] = parameter([], "Kernels.", max_length=3)
        seed: int = parameter(0, "Seed.", ge=0)


class PlotSpatial(Idle):
    """Draw."""

    name = "plot.spatial"

    class Params(Parameters):
        color: str | list[str] | None = parameter(None, "What to colour by.")
        xrange: tuple[float, float] | None = parameter(None, "Columns.", unit="pixels")
        size: Literal["auto"] | float = parameter("auto", "Size of spots.")
        labels: dict[str, str] = parameter({}, "Names of domains.")

        @model_validator(mode="after")
        def _ordered(self) -> "PlotSpatial.Params":
            if self.xrange and self.xrange[0] >= self.xrange[1]:
                raise ValueError("xrange must run from low to high")
            return self


class ReadTable(Idle):
    """Read."""

    name = "read.table"

    class Params(Parameters):
        table: str = parameter(help="The table's file.", path=True)
        others: list[str] = parameter([], "More files.", path=True)
        seed: int = parameter(0, "Seed.")


class Integrate(Idle):
    """Share domains."""

    name = "integrate.spagcn"
    scope = "cohort"

    class Params(Parameters):
        resolution: float = parameter(1.0, "Resolution.")


STEPS = {kind.name: kind() for kind in (SpatialDE, PlotSpatial, ReadTable, Integrate)}


class Catalogue:
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(STEPS))

    def get(self, name: str) -> Step:
        return STEPS[name]


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue()


@pytest.fixture(scope="session")
def read(catalogue: Catalogue) -> Callable[..., Recipe]:
    """Load a text over the small catalogue, in an empty environment."""

    def read(text: str, *overrides: str, **environ: str) -> Recipe:
        return loads(text, "r.yaml", base="/lab", overrides=overrides, environ=environ, catalogue=catalogue)

    return read


@pytest.fixture(scope="session")
def problems(read: Callable[..., Recipe]) -> Callable[..., Sequence[SpatialrunError]]:
    """Return the problems of a text that must have some."""

    def problems(text: str, *overrides: str, **environ: str) -> Sequence[SpatialrunError]:
        with pytest.raises(RecipeErrors) as caught:
            read(text, *overrides, **environ)
        return caught.value.problems

    return problems


@pytest.fixture(scope="session")
def problem(problems: Callable[..., Sequence[SpatialrunError]]) -> Callable[..., SpatialrunError]:
    """Return the one problem of a text."""

    def problem(text: str, *overrides: str, **environ: str) -> SpatialrunError:
        (only,) = problems(text, *overrides, **environ)
        return only

    return problem

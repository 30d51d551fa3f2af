"""A small catalogue with one step type for every kind of parameter, so that these tests need no method."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import pytest
from pydantic import model_validator

from spatialrun.errors import RecipeErrors, SpatialrunError
from spatialrun.recipe import Recipe, loads
from spatialrun.steps.contract import CohortStep, Parameters, Step, Write, parameter


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


class Integrate(CohortStep):
    """Share domains."""

    name = "integrate.spagcn"

    class Params(Parameters):
        resolution: float = parameter(1.0, "Resolution.")

    def run_cohort(self, inputs: Any, params: Any, context: Any) -> dict[str, Any]:
        return {}


class Leiden(Idle):
    """Cluster."""

    name = "cluster.leiden"
    READS: ClassVar = {"connectivities": "obsp/{graph}", "mask": "obs/{mask}?"}
    WRITES: ClassVar = {"labels": "obs/{key_added}", "sizes": "uns/{key_added}.sizes"}

    class Params(Parameters):
        graph: str = parameter("connectivities", "Graph of the spots.")
        mask: str | None = parameter(None, "Column with the spots to use.")
        resolution: float = parameter(1.0, "Resolution.", gt=0)
        seed: int = parameter(0, "Seed.", ge=0)
        key_added: str = parameter("leiden", "Column of obs.", output_name=True)


class Annotate(Idle):
    """Annotate."""

    name = "annotate.obs"

    class Params(Parameters):
        columns: dict[str, str] = parameter({}, "Columns and their new names.")
        prefix: str = parameter("", "Put before every name.", output_name=True)

    def writes(self, params: Any, site: Any) -> list[Write]:
        return [Write(new, f"obs/{params.prefix}{new}") for new in params.columns.values()]


class DeepST(Idle):
    """Find domains."""

    name = "domains.deepst"
    resource = "gpu"

    class Params(Parameters):
        epochs: int = parameter(1000, "Epochs.", ge=1)


KINDS = (SpatialDE, PlotSpatial, ReadTable, Integrate, Leiden, Annotate, DeepST)
STEPS = {kind.name: kind() for kind in KINDS}


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

    def read(text: str, *overrides: str, profile: Any = (), base: Any = "/lab", **environ: str) -> Recipe:
        return loads(
            text,
            "r.yaml",
            base=base,
            overrides=overrides,
            profile=profile,
            environ=environ,
            catalogue=catalogue,
        )

    return read


@pytest.fixture(scope="session")
def problems(read: Callable[..., Recipe]) -> Callable[..., Sequence[SpatialrunError]]:
    """Return the problems of a text that must have some."""

    def problems(text: str, *overrides: str, **options: Any) -> Sequence[SpatialrunError]:
        with pytest.raises(RecipeErrors) as caught:
            read(text, *overrides, **options)
        return caught.value.problems

    return problems


@pytest.fixture(scope="session")
def problem(problems: Callable[..., Sequence[SpatialrunError]]) -> Callable[..., SpatialrunError]:
    """Return the one problem of a text."""

    def problem(text: str, *overrides: str, **options: Any) -> SpatialrunError:
        (only,) = problems(text, *overrides, **options)
        return only

    return problem

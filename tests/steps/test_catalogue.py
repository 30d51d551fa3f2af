from __future__ import annotations

import string
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from spatialrun.slots import AXES_OF_GROUP, GROUPS, NAME, group_of, name_of
from spatialrun.steps import catalogue
from spatialrun.steps.contract import Parameters, Shape, StagedStep, Step, parameter_names

CONSTANT = ("simulate.", "export.files", "export.image", "export.vitessce")
"""Step types whose memory the size of the sample does not decide."""

ENDINGS = {
    "export.h5ad": "h5ad",
    "export.h5mu": "h5mu",
    "export.image": "png",
    "export.spatialdata": "zarr",
    "export.vitessce": "json",
}
"""What an export's file ends in."""

HEAVY = (
    "numpy",
    "pandas",
    "scipy",
    "scanpy",
    "anndata",
    "matplotlib",
    "xarray",
    "dask",
    "numba",
    "zarr",
    "sklearn",
)


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model of parameters and those nested in it."""
    yield model
    for info in model.model_fields.values():
        for part in (info.annotation, *get_args(info.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from models(part)


def test_names_are_sorted_and_dotted() -> None:
    assert list(catalogue.names()) == sorted(catalogue.names())
    assert all(NAME.match(name) and name.count(".") == 1 for name in catalogue.names())


def test_the_same_instance_each_time() -> None:
    assert catalogue.get("normalize.log") is catalogue.get("normalize.log")
    assert [step.name for step in catalogue.all_steps()] == list(catalogue.names())


def test_unknown_name() -> None:
    with pytest.raises(KeyError):
        catalogue.get("normalize.lgo")


def test_what_is_marked_late_is_late_in_some_step() -> None:
    staged = [step.Params for step in catalogue.all_steps() if isinstance(step, StagedStep)]
    for step in catalogue.all_steps():
        for name in parameter_names(step.Params, "late"):
            declares = next(kind for kind in step.Params.__mro__ if name in kind.__annotations__)
            assert any(issubclass(kind, declares) for kind in staged), (step.name, name)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from spatialrun.steps import catalogue; catalogue.all_steps(); "
        f"print(sorted(set(sys.modules) & set({HEAVY})))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("name", catalogue.names())
class TestDeclaration:
    @pytest.fixture
    def step(self, name: str) -> Step:
        return catalogue.get(name)

    def test_name_and_summary(self, step: Step, name: str) -> None:
        assert step.name == name
        summary = (type(step).__doc__ or "").splitlines()[0]
        assert summary.endswith(".")
        assert len(summary) <= 110
        assert step.version >= 1

    def test_templates_are_filled_from_parameters(self, step: Step) -> None:
        fields = set(step.Params.model_fields)
        for template in (*step.READS.values(), *step.WRITES.values()):
            slot = template.removesuffix("?")
            assert group_of(slot) in GROUPS
            assert name_of(slot)
            assert {field for _, field, _, _ in string.Formatter().parse(slot) if field} <= fields

    def test_every_parameter_has_one_line_of_help(self, step: Step) -> None:
        for model in models(step.Params):
            assert issubclass(model, Parameters)
            for field, info in model.model_fields.items():
                text = info.description or ""
                assert text.endswith("."), field
                assert "\n" not in text, field

    def test_marks(self, step: Step) -> None:
        used = {
            field
            for template in step.WRITES.values()
            for _, field, _, _ in string.Formatter().parse(template)
            if field is not None
        }
        assert used <= parameter_names(step.Params, "output_name"), (
            "what only names outputs stays out of keys"
        )

    def test_memory_grows_with_the_sample(self, step: Step) -> None:
        required: dict[str, Any] = {
            name: {
                "path": f"a.{ENDINGS.get(step.name, 'csv')}",
                "data": "a.zarr",
                "what": "var",
                "table": "a.csv",
            }.get(name, "x")
            for name, info in step.Params.model_fields.items()
            if info.is_required() or (name == "table" and step.name.startswith("annotate"))
        }
        if step.name == "genes.select":
            required["all_of"] = ["x"]
        params = step.Params(**required)
        small, large = (step.memory(Shape(n, 10 * n, 100 * n), params) for n in (100, 100_000))
        assert 0 < small <= large
        assert small == large if step.name.startswith(CONSTANT) else small < large

    def test_columns_lie_along_known_axes(self, step: Step) -> None:
        for template in step.WRITES.values():
            group = template.partition("/")[0]
            assert group in AXES_OF_GROUP or group in ("axes", "uns", "images", "figures", "files", "exports")

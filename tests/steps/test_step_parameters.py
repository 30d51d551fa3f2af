"""What parameters do for a step."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from pydantic import ValidationError

from spatialrun.steps import catalogue
from spatialrun.steps.parameters import Parameters, fill, parameter, parameter_names


class Params(Parameters):
    depth: float = parameter(2.0, "How deep.")
    shape: str = parameter("square", "What shape.")
    seed: int = parameter(0, "Seed.", late=True)


@dataclass(frozen=True)
class Hole:
    shape: str = "round"
    depth: float = 1.0


@dataclass(frozen=True)
class Filled(Hole):
    sand: str = "none"


def test_fields_are_taken_from_the_parameters_of_their_names() -> None:
    assert Params().into(Hole) == Hole("square", 2.0)


def test_others_are_given() -> None:
    assert Params().into(Filled, sand="red", shape="oval") == Filled("oval", 2.0, "red")


def test_a_default_of_the_method_never_stands_in_for_a_parameter() -> None:
    with pytest.raises(AttributeError, match="sand"):
        Params().into(Filled)


def test_names_of_a_mark() -> None:
    assert parameter_names(Params, "late") == {"seed"}
    assert parameter_names(Params, "path") == frozenset()


def test_slot_templates_are_filled() -> None:
    assert fill("obs/{shape}.{seed}", Params(shape="oval")) == "obs/oval.0"


@pytest.mark.parametrize("step", catalogue.names())
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_numbers_are_finite(step: str, value: float) -> None:
    """A key is made of JSON, which has no others: it would be found at the end of the task."""
    model = catalogue.get(step).Params
    for name in model.model_fields:
        with pytest.raises(ValidationError) as caught:
            model(**{name: value})
        assert any(error["loc"][:1] == (name,) for error in caught.value.errors()), name

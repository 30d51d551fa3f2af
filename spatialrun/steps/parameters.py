"""Parameters of step types: how they are declared, marked, and put into slot templates and methods' options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")


class Parameters(BaseModel):
    """Base of every step type's parameters: unknown names are refused, numbers finite, values immutable."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=False, arbitrary_types_allowed=False, allow_inf_nan=False
    )

    def into(self, kind: type[Options], **others: Any) -> Options:
        """Build the dataclass that a method takes: each field from the parameter of its name, or from ``others``.

        Raises
        ------
        AttributeError
            Where a field has neither: a default of the method's never stands in for a parameter.
        """
        own = {each.name: getattr(self, each.name) for each in fields(kind) if each.name not in others}
        return kind(**own, **others)


def parameter(
    default: Any = ...,
    help: str = "",
    *,
    unit: str | None = None,
    late: bool = False,
    path: bool = False,
    output_name: bool = False,
    **bounds: Any,
) -> Any:
    """Declare one parameter of a step type.

    Parameters
    ----------
    default
        The default; leave it out to make the parameter required.
    help
        One line that says what it does.
    unit
        Its unit, where it has one (``pixels``, ``spots``, ``genes`` ...).
    late
        It enters only the last stage of a staged step: changing it keeps the set-up and the blocks. In a step
        that shares the parameter and has one stage it says nothing.
    path
        A file outside the store, relative to the recipe: its content enters the key, its name does not.
    output_name
        It only names output slots and therefore does not enter the key.
    **bounds
        pydantic's: ``ge``, ``gt``, ``le``, ``lt``, ``min_length`` ...
    """
    extra: dict[str, Any] = {"unit": unit, "late": late, "path": path, "output_name": output_name}
    extra = {key: value for key, value in extra.items() if value}
    return Field(default, description=help, json_schema_extra=extra, **bounds)


@cache
def parameter_names(params: type[Parameters], mark: str) -> frozenset[str]:
    """Return the names of the parameters that carry a mark: ``late``, ``path`` or ``output_name``."""
    return frozenset(
        name
        for name, info in params.model_fields.items()
        if isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get(mark)
    )


def fill(template: str, params: Parameters) -> str:
    """Fill a slot template from parameters: ``fill("layers/{layer}", params)``."""
    return template.format_map(_Fields(params))


class _Fields(Mapping[str, Any]):
    """A step's parameters as the mapping that a slot template is filled from."""

    def __init__(self, params: Parameters) -> None:
        self._params = params

    def __getitem__(self, name: str) -> Any:
        return getattr(self._params, name)

    def __iter__(self) -> Iterator[str]:
        return iter(type(self._params).model_fields)

    def __len__(self) -> int:
        return len(type(self._params).model_fields)

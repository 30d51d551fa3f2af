"""The JSON Schema of recipes, for editors: keys, step types, and each step type's parameters."""

from __future__ import annotations

import json
from typing import Any

from spatialrun.recipe.keys import FORMAT, RECIPE_KEYS, RESERVED_SAMPLE_KEYS, SAMPLE_KEYS, STEP_KEYS
from spatialrun.recipe.steps import Catalogue
from spatialrun.steps.contract import Step

Schema = dict[str, Any]

_NAME: Schema = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$"}
_NAMES: Schema = {
    "type": ["string", "number", "array"],
    "items": {"type": ["string", "number"]},
    "minItems": 1,
}
_MARKS = ("unit", "late", "path", "output_name")


def recipe_schema(catalogue: Catalogue | None = None) -> Schema:
    """Return the schema (draft 2020-12) of recipes over a catalogue; the installed one by default."""
    if catalogue is None:
        from spatialrun.steps import catalogue as installed

        catalogue = installed
    steps = [catalogue.get(name) for name in catalogue.names()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "spatialrun recipe",
        "type": "object",
        "required": ["spatialrun", "store", "samples", "steps"],
        "additionalProperties": False,
        "properties": {
            "spatialrun": {"const": FORMAT, "description": RECIPE_KEYS["spatialrun"]},
            "store": {"type": "string", "minLength": 1, "description": RECIPE_KEYS["store"]},
            "defaults": _defaults(steps),
            "samples": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": _NAME,
                "additionalProperties": {"$ref": "#/$defs/sample"},
                "description": RECIPE_KEYS["samples"],
            },
            "steps": {
                "type": "array",
                "minItems": 1,
                "items": {"$ref": "#/$defs/step"},
                "description": RECIPE_KEYS["steps"],
            },
        },
        "$defs": {
            "sample": _sample(),
            "step": _step(steps),
            **{step.name: _parameters(step) for step in steps},
        },
    }


def dump_schema(catalogue: Catalogue | None = None) -> str:
    """Return the schema as the text of ``schemas/recipe.schema.json``."""
    return json.dumps(recipe_schema(catalogue), indent=2, ensure_ascii=False) + "\n"


def _sample() -> Schema:
    """Return the schema of a sample; as a string it is the path alone."""
    path: Schema = {"type": ["string", "null"], "description": SAMPLE_KEYS["path"]}
    return {
        "type": ["string", "null", "object"],
        "properties": {"path": path, **dict.fromkeys(RESERVED_SAMPLE_KEYS, False)},
        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
    }


def _step(steps: list[Step]) -> Schema:
    return {
        "type": "object",
        "required": ["uses"],
        "additionalProperties": False,
        "properties": {
            "id": {**_NAME, "description": STEP_KEYS["id"]},
            "uses": {"enum": [step.name for step in steps], "description": STEP_KEYS["uses"]},
            "with": {"type": "object", "description": STEP_KEYS["with"]},
            "samples": {**_NAMES, "description": STEP_KEYS["samples"]},
            "after": {**_NAMES, "description": STEP_KEYS["after"]},
        },
        "allOf": [_if_uses(step) for step in steps],
    }


def _if_uses(step: Step) -> Schema:
    needs = any(info.is_required() for info in step.Params.model_fields.values())
    return {
        "if": {"properties": {"uses": {"const": step.name}}, "required": ["uses"]},
        "then": {
            "properties": {"with": {"$ref": f"#/$defs/{step.name}"}},
            **({"required": ["with"]} if needs else {}),
        },
    }


def _parameters(step: Step) -> Schema:
    """Return the schema of a step type's parameters; models inside it stay in definitions of its own."""
    schema = step.Params.model_json_schema(ref_template=f"#/$defs/{step.name}/$defs/{{model}}")
    # The step type's own summary says more to a recipe's writer than the name of its model.
    summary = (type(step).__doc__ or "").strip().partition("\n")[0]
    plain: Schema = _tidy(schema)
    return {"description": summary, **{key: value for key, value in plain.items() if key != "description"}}


def _tidy(schema: Any) -> Any:
    """Drop pydantic's titles and the contract's marks, and put units where people read them."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept: Schema = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):  # their keys are names of the user's, not words of the schema
            kept[key] = {name: _tidy(inner) for name, inner in value.items()}
        elif key in ("default", "const", "enum"):
            kept[key] = value
        elif key not in ("title", *_MARKS):
            kept[key] = _tidy(value)
    if unit := schema.get("unit"):
        kept["description"] = f"{kept.get('description', '')} [{unit}]".strip()
    return kept


def _defaults(steps: list[Step]) -> Schema:
    users: dict[str, list[str]] = {}
    for step in steps:
        for name in step.Params.model_fields:
            users.setdefault(name, []).append(step.name)
    return {
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {
            name: {"description": f"Parameter of {', '.join(users[name])}."} for name in sorted(users)
        },
        "description": RECIPE_KEYS["defaults"],
    }

"""The JSON Schema of recipes, for editors: keys, step types, and each step type's parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from spatialrun.recipe.gpu import DEVICE
from spatialrun.recipe.keys import (
    FORMAT,
    GPU_KEYS,
    PROFILE_KEYS,
    PROFILE_STEP_KEYS,
    RECIPE_KEYS,
    RESERVED_SAMPLE_KEYS,
    SAMPLE_KEYS,
    STEP_KEYS,
    WAIVERS,
)
from spatialrun.recipe.matrix import MAX_COMBINATIONS
from spatialrun.recipe.names import LONGEST_NAME
from spatialrun.recipe.profiles import MAX_PROFILES
from spatialrun.recipe.steps import MAX_RETRIES, Catalogue
from spatialrun.steps.contract import Step

Schema = dict[str, Any]

_NAME: Schema = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", "maxLength": LONGEST_NAME}
_NAMES: Schema = {
    "type": ["string", "number", "array"],
    "items": {"type": ["string", "number"]},
    "minItems": 1,
}
_ATOM: Schema = {"type": ["string", "number", "boolean", "null"]}
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
        "required": ["spatialrun"],
        # What is not here may be in what is included.
        "if": {"not": {"required": ["include"]}},
        "then": {"required": ["store", "samples", "steps"]},
        "additionalProperties": False,
        "properties": _described(
            RECIPE_KEYS,
            {
                "spatialrun": {"const": FORMAT},
                "include": {"type": ["string", "array"], "items": {"type": "string"}, "minLength": 1},
                **_shared(steps),
                "steps": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/step"}},
                "profiles": {
                    "type": ["object", "null"],
                    "propertyNames": _NAME,
                    "maxProperties": MAX_PROFILES,
                    "additionalProperties": {"$ref": "#/$defs/profile"},
                },
            },
        ),
        "$defs": {
            "sample": _sample(),
            "selection": _selection(),
            "gpu": _gpu(),
            "step": _step(steps),
            "profile": _profile(steps),
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
        "additionalProperties": _ATOM,
    }


def _selection() -> Schema:
    """Return the schema of a step's ``samples``: names, patterns, metadata, or a list of these."""
    one: Schema = {
        "type": ["string", "number", "object"],
        "minProperties": 1,
        "additionalProperties": {**_ATOM, "type": [*_ATOM["type"], "array"], "items": _ATOM},
    }
    return {**one, "type": [*one["type"], "array"], "minItems": 1, "items": one}


def _gpu() -> Schema:
    """Return the schema of how steps that may use a GPU are run."""
    keys: Schema = {
        "device": {"type": ["string", "null"], "pattern": f"^({DEVICE.pattern})$"},
        "python": {"type": ["string", "null"]},
        "memory": {"type": ["string", "number", "null"]},
    }
    return {
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": _described(GPU_KEYS, keys),
    }


def _shared(steps: list[Step]) -> Schema:
    """Return the keys that recipes and their profiles have alike."""
    waiver: Schema = {"enum": list(WAIVERS)}
    return {
        "store": {"type": "string", "minLength": 1},
        "unsafe": {"oneOf": [waiver, {"type": "array", "items": waiver}, {"type": "null"}]},
        "defaults": _defaults(steps),
        "gpu": {"$ref": "#/$defs/gpu"},
        "samples": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": _NAME,
            "additionalProperties": {"$ref": "#/$defs/sample"},
        },
    }


def _step_keys(steps: list[Step]) -> Schema:
    keys: Schema = {
        "id": _NAME,
        "uses": {"enum": [step.name for step in steps]},
        "with": {"type": ["object", "null"]},
        "matrix": {
            "type": ["object", "null"],
            "minProperties": 1,
            "additionalProperties": {"type": "array", "minItems": 1, "maxItems": MAX_COMBINATIONS},
        },
        "samples": {"$ref": "#/$defs/selection"},
        "after": _NAMES,
        "retries": {"type": ["integer", "null"], "minimum": 0, "maximum": MAX_RETRIES},
        "timeout": {
            "type": ["number", "string", "null"],
            "exclusiveMinimum": 0,
            "pattern": r"^(?=.)([0-9.]+d)?([0-9.]+h)?([0-9.]+m)?([0-9.]+s)?$",
        },
        "gpu": {"$ref": "#/$defs/gpu"},
    }
    return _described(STEP_KEYS, keys)


def _step(steps: list[Step]) -> Schema:
    return {
        "type": "object",
        "required": ["uses"],
        "additionalProperties": False,
        "properties": _step_keys(steps),
        "allOf": [_if_uses(step) for step in steps],
    }


def _profile(steps: list[Step]) -> Schema:
    """Return the schema of a profile: its steps are named by id, so their types are not known."""
    keys = _step_keys(steps)
    step: Schema = {
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {key: keys[key] for key in PROFILE_STEP_KEYS},
    }
    shared = _described(RECIPE_KEYS, _shared(steps))
    changes = {"type": ["object", "null"], "additionalProperties": step, "description": "Changes by id."}
    return {
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {key: shared.get(key, changes) for key in PROFILE_KEYS},
    }


def _if_uses(step: Step) -> Schema:
    own = f"#/$defs/{step.name}"
    names = step.Params.model_fields
    varied = {
        name: {"type": "array", "minItems": 1, "items": {"$ref": f"{own}/properties/{name}"}}
        for name in names
    }
    then: Schema = {
        "properties": {
            "with": {"$ref": own},
            "matrix": {"additionalProperties": False, "properties": varied},
        }
    }
    if needed := [name for name, info in names.items() if info.is_required()]:
        # A matrix may give them too.
        then["if"] = {"not": {"required": ["matrix"]}}
        then["then"] = {"required": ["with"], "properties": {"with": {"required": needed}}}
    return {"if": {"properties": {"uses": {"const": step.name}}, "required": ["uses"]}, "then": then}


def _described(help: Mapping[str, str], keys: Mapping[str, Schema]) -> Schema:
    """Put the line of help of each key to its schema."""
    return {key: {**schema, "description": help[key]} for key, schema in keys.items()}


def _parameters(step: Step) -> Schema:
    """Return the schema of a step type's parameters; models inside it stay in definitions of its own."""
    schema = step.Params.model_json_schema(ref_template=f"#/$defs/{step.name}/$defs/{{model}}")
    # The step type's own summary says more to a recipe's writer than the name of its model.
    summary = (type(step).__doc__ or "").strip().partition("\n")[0]
    plain: Schema = _tidy(schema)
    rest = {key: value for key, value in plain.items() if key not in ("description", "required")}
    return {"description": summary, **rest}


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
    }

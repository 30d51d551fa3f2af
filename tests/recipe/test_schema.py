"""The schema for editors: what it says of keys and parameters, and that the committed file is current."""

import json
from pathlib import Path

from spatialrun.recipe.keys import RECIPE_KEYS, STEP_KEYS
from spatialrun.recipe.schema import dump_schema, recipe_schema

COMMITTED = Path(__file__).resolve().parents[2] / "schemas" / "recipe.schema.json"


def test_the_committed_file_is_current():
    assert COMMITTED.read_text(encoding="utf-8") == dump_schema(), "write it again with: spatialrun schema"


def test_keys_are_those_of_the_loader(catalogue):
    schema = recipe_schema(catalogue)
    assert schema["properties"].keys() == RECIPE_KEYS.keys()
    step = schema["$defs"]["step"]
    assert step["properties"].keys() == STEP_KEYS.keys()
    assert step["properties"]["uses"]["enum"] == list(catalogue.names())
    assert schema["properties"]["defaults"]["properties"]["seed"]["description"].endswith(
        "read.table, svg.spatialde."
    )


def test_parameters_carry_help_units_bounds_and_defaults(catalogue):
    schema = recipe_schema(catalogue)["$defs"]["svg.spatialde"]
    assert schema["description"] == "Test every gene."
    assert schema["additionalProperties"] is False
    assert schema["properties"]["n_svg"] == {
        "default": 500,
        "description": "How many genes to mark. [genes]",
        "minimum": 1,
        "type": "integer",
    }


def test_every_reference_leads_somewhere(catalogue):
    schema = recipe_schema(catalogue)

    def references(node):
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = set(references(schema))
    assert "#/$defs/svg.spatialde/$defs/Kernel" in found
    for reference in found:
        target = schema
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        assert isinstance(target, dict)


def test_a_step_type_with_required_parameters_requires_with(catalogue):
    branches = recipe_schema(catalogue)["$defs"]["step"]["allOf"]
    by_name = {branch["if"]["properties"]["uses"]["const"]: branch["then"] for branch in branches}
    assert by_name["read.table"]["then"] == {
        "required": ["with"],
        "properties": {"with": {"required": ["table"]}},
    }
    assert by_name["read.table"]["if"] == {"not": {"required": ["matrix"]}}, "which may give it too"
    assert "then" not in by_name["svg.spatialde"]


def test_the_text_is_stable_json(catalogue):
    text = dump_schema(catalogue)
    assert text == dump_schema(catalogue)
    assert json.loads(text) == recipe_schema(catalogue)

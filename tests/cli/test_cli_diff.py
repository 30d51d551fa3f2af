"""``diff --json``: what any reader of JSON takes."""

import json
import math

import pytest

from spatialrun.cli.render_diff import as_json
from spatialrun.plan.difference import Difference, Moved, SlotChange, TaskChange
from spatialrun.plan.reasons import Reason


def no_constant(name: str) -> None:
    pytest.fail(f"{name} is not JSON")


def test_what_is_no_finite_number_is_null():
    reason = Reason("parameter", "cap", old=[math.inf, 1], new=math.nan)
    moved = {"padj": Moved(absolute=math.inf, relative=math.inf, changed=0.5)}
    found = Difference(
        recipe=("-a", "+b"),
        versions={"numpy": ("2.1", None)},
        tasks=(TaskChange("svg", ("a",), (reason,)),),
        slots=(SlotChange("a", "var/spatialde", "changed", moved),),
    )
    data = json.loads(as_json(found), parse_constant=no_constant)
    assert data["slots"][0]["moved"]["padj"] == {
        "absolute": None,
        "relative": None,
        "changed": 0.5,
        "ari": None,
        "what": "",
    }
    (told,) = data["tasks"][0]["reasons"]
    assert (told["old"], told["new"]) == ([None, 1], None)
    assert (data["recipe"], data["versions"]) == (["-a", "+b"], {"numpy": ["2.1", None]})

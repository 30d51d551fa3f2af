"""Everything public is documented."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lab import TESTS

PACKAGE = TESTS.parent / "spatialrun"


def test_everything_public_has_a_docstring():
    """As pydocstyle's rules say; step types have those of the contract that they implement."""
    ruff = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--select",
        "D1",
        "--ignore",
        "D105,D107",
        "--no-cache",
        str(PACKAGE),
    ]
    said = subprocess.run(ruff, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout


def public_functions() -> Iterator[tuple[Path, ast.FunctionDef]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield file, node


def test_parameters_that_are_listed_are_all_listed():
    lacking = []
    for file, function in public_functions():
        text = ast.get_docstring(function) or ""
        if "Parameters\n" not in text:
            continue
        given = function.args
        names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
        lacking += [
            f"{file.relative_to(PACKAGE)}: {function.name}({name})"
            for name in names
            if name not in ("self", "cls") and not re.search(rf"(^|, )\**{name}\b", text, re.MULTILINE)
        ]
    assert not lacking


def test_every_module_says_what_it_is():
    modules = [file for file in PACKAGE.rglob("*.py") if file.read_text(encoding="utf-8").strip()]
    assert len(modules) > 200
    assert not [file for file in modules if not ast.get_docstring(ast.parse(file.read_text()))]


def test_every_step_type_and_its_parameters_have_a_line_of_help():
    from spatialrun.steps import catalogue

    for step in catalogue.all_steps():
        assert type(step).__doc__, step.name
        for name, info in step.Params.model_fields.items():
            assert info.description, f"{step.name}.{name}"

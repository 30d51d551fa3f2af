"""``steps``, ``schema``, and the program itself: help and version."""

from __future__ import annotations

import json
import subprocess
import sys

import spatialrun
from spatialrun.cli.app import COMMANDS
from spatialrun.recipe.schema import dump_schema
from spatialrun.steps import catalogue

NAMES = {command.__name__.replace("_", "-") for commands in COMMANDS.values() for command in commands}


def test_catalogue_has_a_line_per_step_type(call):
    result = call("steps")
    assert [line.split()[0] for line in result.lines] == list(catalogue.names())
    assert "``" not in result.out


def test_every_step_type_can_be_described(call):
    for name in catalogue.names():
        result = call("steps", name)
        assert result.code == 0
        assert "parameters" in result.lines
        for parameter in catalogue.get(name).Params.model_fields:
            assert any(line.startswith(f"  {parameter}: ") for line in result.lines)


def test_a_step_type_with_its_parameters_and_slots(call):
    lines = call("steps", "svg.spatialde").lines
    assert lines[0] == f"svg.spatialde  version {catalogue.get('svg.spatialde').version}, per sample, bitwise"
    assert "  n_svg: int | null = 500  (genes, at least 1, late)" in lines
    assert "  obs_dist: negative_binomial | normal = negative_binomial" in lines
    assert "  kernel_space.SE: [float, ...] = []  (as coordinates)" in lines
    assert "  late: a change of it repeats the last stage alone" in lines
    (reads,) = [line for line in lines if line.startswith("reads")]
    assert "layers/{layer}" in reads
    (writes,) = [line for line in lines if line.startswith("writes")]
    assert "var/{key_added}.padj" in writes
    assert any(line.startswith("cite") for line in lines)


def test_unknown_step_type_gets_the_nearest_name(call):
    result = call("steps", "svg.spatialed")
    assert result.code == 2
    assert "unknown step type 'svg.spatialed'; did you mean 'svg.spatialde'?" in result.err


def test_schema_is_printed_and_written(call, tmp_path):
    assert call("schema").out == dump_schema()
    target = tmp_path / "deep" / "schema.json"
    assert call("schema", "--output", target).code == 0
    assert json.loads(target.read_text())["title"] == "spatialrun recipe"
    refused = call("schema", "--output", tmp_path)
    assert refused.code == 2
    assert "cannot be written" in refused.err


def test_help_lists_every_command(call):
    result = call("--help")
    assert result.code == 0
    for name in NAMES:
        assert f" {name} " in result.out
    for name in NAMES:
        assert call(name, "--help").code == 0


def test_help_needs_no_numbers():
    program = (
        "import sys, spatialrun.cli as c; c.main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for heavy in ("numpy", "pandas", "zarr", "pydantic", "spatialrun.steps"):
        assert f"'{heavy}'" not in done.stderr


def test_version(call):
    assert call("--version").out == f"spatialrun {spatialrun.__version__}\n"


def test_python_m():
    command = [sys.executable, "-m", "spatialrun", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith(
        "spatialrun "
    )


def test_unknown_command_and_missing_argument(call):
    assert call("aply").code == 2
    assert call("apply").code == 2

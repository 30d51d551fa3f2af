"""The README: its commands do what they say, its recipes hold together, its Python runs.

Blocks are taken as they are written and run in a scratch folder in which the paths that they name exist.
"""

from __future__ import annotations

import re
import shlex
import shutil
import webbrowser
from pathlib import Path

import pytest
import yaml
from lab import TESTS

from spatialrun.cli import main
from spatialrun.errors import CODES
from spatialrun.recipe.loader import check

ROOT = TESTS.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")

ELSEWHERE = {
    "python3 -m venv": "what .ci/run does",
    "pip install": "environments of their own",
    "python tests/benchmarks": "minutes to hours",
    "recipes/visium_hd.yaml": "half a million bins; the recipe has tests of its own",
    "recipes/simulate_cohort.yaml": "minutes; the recipe has tests of its own",
    "recipes/spatial_domains.yaml": "minutes; the recipe has tests of its own",
}
"""Commands that are not run here, and why."""
SLOW = "recipes/"
NEEDS = (
    "dask_jobqueue",
    "dask_kubernetes",
    "coiled",
    "cluster.",
    "class GeneShare",
)
"""What Python blocks ask for that the suite does not have, or that other tests do."""


def blocks(language: str, text: str = README) -> list[str]:
    """The fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(*, slow: bool) -> list[str]:
    """The shell's lines: those that are run here."""
    lines = [line.strip() for block in blocks("sh") for line in block.splitlines()]
    known = [line for line in lines if line and not any(part in line for part in ELSEWHERE)]
    return [line for line in known if (SLOW in line) == slow]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory, sections) -> Path:
    """A copy of the recipes, and sections under the README's paths."""
    root = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "recipes", root / "recipes")
    shutil.copytree(ROOT / "schemas", root / "schemas")
    for name, section in {"sample1": "a", "sample2": "b", "": "a"}.items():
        folder = root / "path" / "to" / name / "outs"
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(sections[section], folder, dirs_exist_ok=True)
    (root / "data" / "p2-t5").mkdir(parents=True)
    (root / "data" / "p2-t5" / "outs").symlink_to(sections["a"])
    return root


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a line of a shell as it is written, and return what it said; it must succeed."""
    monkeypatch.setattr(webbrowser, "open", lambda _: True)

    def run(line: str, root: Path) -> str:
        words = shlex.split(line, comments=True)
        variables = dict(word.split("=", 1) for word in words if re.fullmatch(r"[A-Z_0-9]+=.*", word))
        command, *rest = [word for word in words if word.split("=")[0] not in variables]
        assert command == "spatialrun", line
        with monkeypatch.context() as patch:
            patch.chdir(root)
            for name, value in variables.items():
                patch.setenv(name, value)
            code = main(rest)
        said = capsys.readouterr()
        assert code == 0, (line, said.out, said.err)
        return said.out

    return run


def test_every_command_is_run_or_said_why_not():
    """A command that is neither would never be noticed."""
    lines = [line.strip() for block in blocks("sh") for line in block.splitlines() if line.strip()]
    known = [*commands(slow=False), *commands(slow=True)]
    assert len(known) >= 15
    for line in lines:
        assert line in known or any(part in line for part in ELSEWHERE), line


@pytest.mark.slow
def test_the_commands_work_as_written(scratch, run):
    """In the order of the page, as a reader types them."""
    for line in commands(slow=False):
        if "sweep" in line or "--samples" in line:
            continue  # of recipes that are only told of: see below
        run(line, scratch)
    assert (scratch / "recipe.yaml").is_file()


@pytest.mark.slow
def test_the_recipes_work_as_written(scratch, run):
    for line in commands(slow=True):
        run(line, scratch)


def test_selecting_by_metadata_and_sweeps_work_as_written(scratch, run):
    """The recipe of these commands has groups, and a matrix."""
    (scratch / "sweep").mkdir()
    shutil.copytree(scratch / "path", scratch / "sweep" / "path")
    (scratch / "sweep" / "recipe.yaml").write_text(
        "spatialrun: 1\nstore: results\n"
        "samples: {one: {path: path/to/sample1/outs, group: tumor}, two: {path: path/to/sample2/outs}}\n"
        "steps:\n"
        "  - uses: read.visium\n"
        "  - uses: normalize.log\n"
        "  - {id: svg, uses: svg.moran, matrix: {n_svg: [5, 10]}}\n"
    )
    (selecting,) = [line for line in commands(slow=False) if "--samples" in line]
    run(selecting, scratch / "sweep")
    run("spatialrun apply recipe.yaml -q", scratch / "sweep")
    (sweep,) = [line for line in commands(slow=False) if " sweep" in line]
    said = run(sweep.split(" --sort")[0], scratch / "sweep")
    assert len(said.splitlines()) >= 4, "a row for every value and sample"


def test_whole_recipes_are_sound(scratch):
    whole = [block for block in blocks("yaml") if "spatialrun: 1" in block]
    assert whole
    for number, block in enumerate(whole):
        file = scratch / f"block{number}.yaml"
        file.write_text(block)
        recipe, problems = check(file)
        assert recipe is not None, problems
        assert not problems


def test_parts_of_recipes_are_yaml():
    for block in blocks("yaml"):
        assert yaml.safe_load(block)


def test_python_does_what_it_says(scratch, monkeypatch):
    """On a store in the quickstart's place, with less in it; `recipe.apply()` is what the main job does."""
    (scratch / "small.yaml").write_text(
        "spatialrun: 1\nstore: results/quickstart/store\nsamples: {section: {path: path/to/outs}}\n"
        "steps: [{uses: read.visium}, {uses: normalize.log}]\n"
    )
    monkeypatch.chdir(scratch)
    assert main(["apply", "small.yaml", "-q"]) == 0
    known: dict[str, object] = {}
    ran = 0
    for block in blocks("python"):
        lines = [line for line in block.splitlines() if ".apply()" not in line]
        if any(word in block for word in NEEDS):
            continue
        exec(compile("\n".join(lines), "README.md", "exec"), known)
        ran += 1
    assert ran >= 3
    assert known["adata"].n_obs == known["experiment"]["section"].n_obs


def test_the_plugin_is_the_one_that_is_tested():
    for name, language in (("gene_share.py", "python"), ("pyproject.toml", "toml")):
        tested = (TESTS / "plugin" / name).read_text()
        assert tested in blocks(language), f"{name} of the README is not that of tests/plugin"


def test_links_lead_somewhere():
    for text, folder in ((README, ROOT), (CONTRIBUTING, ROOT / ".github")):
        for target in re.findall(r"\]\(([^)]+)\)", text):
            if target.startswith("#"):
                titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
                anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
                assert target[1:] in anchors, target
            elif "://" not in target:
                assert (folder / target).exists(), target


def test_step_types_and_errors_that_are_named_exist():
    from spatialrun.steps import catalogue

    named = set(re.findall(r"`([a-z]+\.[a-z_0-9]+)`", README))
    families = {name.partition(".")[0] for name in catalogue.names()}
    own = {"qc.share"}
    for name in named:
        if name.partition(".")[0] in families:
            assert name in {*catalogue.names(), *own}, name
    table = README[README.index("## Step types") : README.index("## Caching")]
    for name in catalogue.names():
        assert f"`{name}`" in table, f"{name} has no place in the table"
    assert not {name for name in named if name in CODES} - set(CODES)

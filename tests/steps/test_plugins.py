"""Step types of other packages: found when asked for, their code in the key, their faults with their names."""

import os
import shutil
import subprocess
import sys
import venv
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from lab import TESTS, Lab

from spatialrun.errors import PluginError
from spatialrun.steps import catalogue, plugins

STEPS = """\
  - {id: read, uses: read.visium, with: {min_spots: 3}}
  - {id: share, uses: qc.share, with: {genes: [Gene1, Gene2]}}
"""


class Environment:
    """A Python environment of its own that sees all that this one has, and what is installed there."""

    def __init__(self, root: Path) -> None:
        venv.create(root)
        scripts = "Scripts" if sys.platform == "win32" else "bin"
        self.python = root / scripts / "python"
        (packages,) = {Path(path) for path in root.rglob("site-packages")}
        folders = [path for path in sys.path if path.endswith("site-packages")]
        (packages / "outer.pth").write_text(
            "".join(f"import site; site.addsitedir({p!r})\n" for p in folders)
        )

    def install(self, *what: object) -> None:
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet"]
        offline = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
        subprocess.run([*pip, *offline, *map(str, what)], check=True)

    def spatialrun(self, *words: object) -> str:
        done = subprocess.run(
            [str(self.python), "-m", "spatialrun", *map(str, words)],
            env=os.environ | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def environment(tmp_path) -> Environment:
    return Environment(tmp_path / "environment")


@pytest.fixture
def project(tmp_path) -> Path:
    return shutil.copytree(TESTS / "plugin", tmp_path / "gene-share")


@pytest.fixture
def recipe(tmp_path, sections) -> Path:
    lab = Lab(tmp_path / "lab", {"a": sections["a"]}, STEPS)
    lab.root.mkdir()
    lab.recipe.write_text(lab.text)
    return lab.recipe


def edit(module: Path) -> None:
    module.write_text(module.read_text().replace("/ counts.sum(axis=1)", "/ (1 + counts.sum(axis=1))"))


def test_an_editable_plugin_runs_and_an_edit_of_its_source_is_the_reason_to_run_again(
    environment, project, recipe
):
    environment.install("--editable", project)
    assert "Share of each spot's counts" in environment.spatialrun("steps", "qc.share")
    environment.spatialrun("apply", recipe)
    assert "code of gene-share" not in environment.spatialrun("plan", recipe)
    edit(project / "gene_share.py")
    assert "code of gene-share changed" in environment.spatialrun("plan", recipe)
    environment.spatialrun("apply", recipe)
    assert "code of gene-share" not in environment.spatialrun("plan", recipe)


@pytest.mark.slow
def test_an_installed_plugin_has_the_code_that_was_installed(environment, project, recipe):
    environment.install(project)
    environment.spatialrun("apply", recipe)
    edit(project / "gene_share.py")
    assert "code of gene-share" not in environment.spatialrun("plan", recipe)
    environment.install("--force-reinstall", project)
    assert "code of gene-share changed" in environment.spatialrun("plan", recipe)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a package with one step type on the path, as an installer would."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name: str, step: str, source: str = "") -> str:
        module = name.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        metadata = tmp_path / f"{module}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[{plugins.GROUP}]\n{step} = {module}:Share\n")
        forget()
        return module

    yield install
    forget()


def forget() -> None:
    """Let the installed packages be asked anew."""
    for memory in (plugins.found, plugins.code, catalogue.get):
        memory.cache_clear()


WORKING = """\
from spatialrun.steps.contract import Parameters, Step
class Share(Step):
    "Share."
    name = "qc.stranger"
    Params = Parameters
    def run(self, inputs, params, context):
        return {}
"""


def test_a_plugin_is_in_the_catalogue_by_its_name(install):
    install("stranger-one", "qc.stranger", WORKING)
    assert "qc.stranger" in catalogue.names()
    assert plugins.load("qc.stranger").name == "qc.stranger"
    assert list(catalogue.code("qc.stranger")) == ["stranger-one"]
    assert catalogue.faults() == {}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("raise SystemError('out of order')", "SystemError: out of order"),
        ("Share = dict", "is no step type"),
        (WORKING.replace("qc.stranger", "qc.other"), "has the name 'qc.other'"),
    ],
)
def test_a_plugin_that_gives_no_step_type_is_an_error_with_its_name(install, source, said):
    module = install(f"broken-{abs(hash(source))}", "qc.stranger", source)
    with pytest.raises(PluginError, match=r"plugin\.broken") as caught:
        catalogue.get("qc.stranger")
    assert said in str(caught.value)
    assert module.replace("_", "-") in str(caught.value)
    assert list(catalogue.faults()) == ["qc.stranger"]
    assert "qc.stranger" not in [step.name for step in catalogue.all_steps()]


def test_a_broken_plugin_is_a_problem_of_the_recipe_at_its_line(install, tmp_path):
    install("broken-plugin", "qc.stranger", "1 / 0")
    lab = Lab(tmp_path / "lab", {"a": None}, "  - {uses: qc.stranger}\n")
    with pytest.raises(Exception, match="ZeroDivisionError") as caught:
        lab.load()
    (problem,) = caught.value.problems
    assert (problem.code, problem.where.line) == ("plugin.broken", 6)


def test_two_plugins_with_one_name_are_told_apart_by_uninstalling_one(install):
    install("stranger-two", "qc.stranger", WORKING)
    install("stranger-three", "qc.stranger", WORKING)
    with pytest.raises(PluginError, match=r"stranger-\w+ and stranger-\w+ both") as caught:
        catalogue.get("qc.stranger")
    assert caught.value.code == "plugin.clash"


def test_a_built_in_step_type_cannot_be_replaced(install):
    install("impostor", "qc.metrics", WORKING)
    assert type(catalogue.get("qc.metrics")).__module__ == "spatialrun.steps.qc"
    assert catalogue.code("qc.metrics") == {}
    fault = catalogue.faults()["qc.metrics"]
    assert (fault.code, "spatialrun and impostor" in fault.what) == ("plugin.clash", True)


def test_built_in_step_types_are_had_without_asking_what_is_installed(monkeypatch, applied_once):
    monkeypatch.setattr(plugins, "found", lambda: pytest.fail("the installed packages were asked"))
    assert applied_once.plan().count("cached") == 4


def test_the_sources_of_a_package_are_all_of_its_modules_wherever_it_lies(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "shared_namespace" / "grown"
    (package / "inner").mkdir(parents=True)
    for name in ("__init__.py", "steps.py", "inner/deep.py"):
        (package / name).write_text(f"# {name}\n")
    entry = EntryPoint("qc.grown", "shared_namespace.grown.steps:Share", plugins.GROUP)
    monkeypatch.setattr(plugins, "found", lambda: {"qc.grown": (entry,)})
    before = plugins.code("qc.grown")
    (package / "inner/deep.py").write_text("# edited\n")
    plugins.code.cache_clear()
    assert plugins.code("qc.grown") != before
    (package / "inner/deep.py").write_text("# inner/deep.py\n")
    plugins.code.cache_clear()
    assert plugins.code("qc.grown") == before
    plugins.code.cache_clear()

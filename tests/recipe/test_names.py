"""Names become names of files: nothing that leads elsewhere, on any system, is one."""

import pytest

from spatialrun.recipe.composer import compose
from spatialrun.recipe.names import LONGEST_NAME, fault_of_name, is_slot_name, is_within_group
from spatialrun.recipe.problems import Problems
from spatialrun.recipe.slots import misnamed
from spatialrun.recipe.source import Source

ESCAPES = ["..", "../x", "x/../y", "a/b", "a\\b", "/etc", ".hidden", "a..b", "a\0b", "a\nb", "", "."]


@pytest.mark.parametrize(
    "name", [*ESCAPES, "a.", "-a", "a b", "é", "_cohort", "x" * (LONGEST_NAME + 1), "NUL", "com1.x"]
)
def test_names_of_samples_and_steps_refused(name):
    assert fault_of_name(name)


@pytest.mark.parametrize(
    "name", ["a", "151673", "p2-t5", "svg.2", "A_b+c", "x" * LONGEST_NAME, "con2", "nullable"]
)
def test_names_of_samples_and_steps(name):
    assert fault_of_name(name) is None


@pytest.mark.parametrize("name", [*ESCAPES, "a b", "cell type"])
def test_names_of_written_slots_refused(name):
    assert not is_slot_name(name)


@pytest.mark.parametrize("name", ["leiden", "_scvi_batch", "-x", "spagcn-5-0.domain", "a."])
def test_names_of_written_slots(name):
    assert is_slot_name(name)


def test_names_that_are_read_are_other_peoples():
    assert is_within_group("cell type")
    assert [name for name in ESCAPES if is_within_group(name)] == [""]


HEAD = "spatialrun: 1\nstore: x\nsamples: {a: p}\nsteps:\n- uses: "


@pytest.mark.parametrize(
    ("step", "column", "what"),
    [
        ("cluster.leiden\n  with: {key_added: ../x}", 21, "'../x'"),
        ("cluster.leiden\n  with: {key_added: .x}", 21, "'.x'"),
        ("cluster.leiden\n  with: {key_added: a b}", 21, "'a b'"),
        ("cluster.leiden\n  with: {graph: ../../x}", 17, "'../../x'"),
        ("cluster.leiden\n  with: {mask: a/b}", 16, "'a/b'"),
        ("annotate.obs\n  with: {columns: {a: b, c: ../d}}", 29, "'../d'"),
        ("annotate.obs\n  with: {prefix: ../}", 18, "'../'"),
    ],
)
def test_slots_of_a_step(problem, step, column, what):
    found = problem(HEAD + step)
    assert (found.code, found.what) == ("recipe.bad-name", f"{what} cannot name a slot")
    assert (found.where.line, found.where.column) == (6, column)
    assert "letters, digits" in found.hint


def test_a_bad_name_made_of_good_parts(problem):
    found = problem(HEAD + "annotate.obs\n  with: {columns: {a: .b}, prefix: x.}")
    assert found.what == "'.b' cannot name a slot"
    assert problem(HEAD + "cluster.leiden\n  with: {key_added: ''}").what == "'' cannot name a slot"
    found = problem(HEAD + f"annotate.obs\n  with: {{columns: {{a: {'b' * 60}}}, prefix: {'c' * 60}}}")
    assert (found.code, found.where.line) == ("recipe.bad-name", 5)


def test_columns_of_files_have_any_name(read):
    assert read(HEAD + "cluster.leiden\n  with: {mask: cell type}").complete


def test_who_chose_the_name_of_a_slot():
    tree = compose(Source("r", "columns: {a: good, b: ba d}"), Problems())
    assert misnamed("obs/x.ba d", tree.entries).mark.column == 23
    assert misnamed("obs/good", tree.entries) is None
    assert misnamed("obs/cell type", tree.entries) is None, "it comes from a file"

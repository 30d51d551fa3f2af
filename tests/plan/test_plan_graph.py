"""The graph: steps are joined by slots, and every problem of it is said at its place, all at once."""

import shutil
from pathlib import Path

import pytest
from lab import Lab

from spatialrun.api import load
from spatialrun.errors import RecipeErrors, SpatialrunError
from spatialrun.plan.task import Input, TaskId


def problems(lab: Lab) -> list[SpatialrunError]:
    with pytest.raises(RecipeErrors) as caught:
        lab.load()
    return list(caught.value.problems)


def said(problem: SpatialrunError) -> tuple[str, str]:
    """The code, and the text of the recipe that the place points at."""
    where = problem.where
    line = where.file and Path(where.file).read_text().splitlines()[where.line - 1]
    return problem.code, line[where.column - 1 :]


def test_reads_are_joined_to_writes(lab):
    tasks = lab.load().graph.tasks
    svg, read = TaskId("svg", "a"), TaskId("read", "a")
    assert list(tasks) == [read, TaskId("log", "a"), svg, TaskId("chosen", "a")]
    assert Input("counts", "layers/counts", read, "layers/counts") in tasks[svg].inputs
    assert (
        Input("spatialde.svg", "var/spatialde.svg", svg, "var/spatialde.svg")
        in tasks[TaskId("chosen", "a")].inputs
    )
    assert tasks[svg].upstream == (read,)


def test_axes_of_outputs_are_read_implicitly(lab):
    log = lab.load().graph.tasks[TaskId("log", "a")]
    assert {i.slot for i in log.inputs} == {"layers/counts", "axes/obs", "axes/var"}


def test_every_task_comes_after_those_that_it_needs(lab):
    lab.steps = "".join(reversed(lab.steps.splitlines(keepends=True)))
    order = [id.step for id in lab.load().graph.tasks]
    assert order.index("read") == 0
    assert order.index("svg") < order.index("chosen")


def test_after_orders_what_data_does_not(lab):
    lab.edit("uses: normalize.log}", "uses: normalize.log, after: svg}")
    tasks = lab.load().graph.tasks
    assert tasks[TaskId("log", "a")].after == (TaskId("svg", "a"),)
    assert list(tasks).index(TaskId("svg", "a")) < list(tasks).index(TaskId("log", "a"))


def test_a_step_runs_on_its_samples_alone(lab, sections):
    lab.samples = {"a": sections["a"], "b": sections["b"]}
    lab.edit("uses: normalize.log}", "uses: normalize.log, samples: [b]}")
    assert [id.sample for id in lab.load().graph.tasks if id.step == "log"] == ["b"]


def test_an_unwritten_read_names_the_nearest_slot_at_its_parameter(lab):
    lab.edit("all_of: [spatialde.svg]", "all_of: [spatialde.svgs]")
    (problem,) = problems(lab)
    assert said(problem) == ("recipe.unwritten-read", "spatialde.svgs], key_added: chosen}}")
    assert "did you mean var/spatialde.svg?" in problem.hint
    assert (problem.where.step, problem.where.slot) == ("chosen", "var/spatialde.svgs")


def test_an_unwritten_read_names_the_step_type_that_would_write_it(lab):
    lab.edit("all_of: [spatialde.svg]", "all_of: [vst.hvg]")
    (problem,) = problems(lab)
    assert "genes.variable" in problem.hint


def test_a_step_that_is_there_but_does_not_write_it_is_not_to_be_added(lab, tmp_path, sections):
    """Of a section without the hires image, say: the reader is there."""
    bare = tmp_path / "bare"
    shutil.copytree(sections["a"], bare)
    for image in bare.glob("spatial/*hires*"):
        image.unlink()
    lab.samples = {"a": bare}
    lab.steps += "  - {id: drawn, uses: plot.spatial, with: {channels: [hires/r]}}\n"
    (problem,) = problems(lab)
    assert "read.visium would write it with other parameters, or of other files" in problem.hint
    assert "add such a step" not in problem.hint


def test_a_sample_without_its_files_is_told_to_have_a_path(lab):
    with pytest.raises(RecipeErrors) as caught:
        lab.load("samples.d.group=x")
    (problem,) = caught.value.problems
    assert problem.code == "recipe.unwritten-read"
    assert problem.hint.startswith("give samples.d a path; or simulate it: simulate.")


def test_an_unwritten_read_of_a_template_points_at_the_parameter_that_fills_it(lab):
    lab.edit("{n_svg: 10,", "{n_svg: 10, layer: count,")
    (problem,) = problems(lab)
    assert said(problem)[1].startswith("count, kernel_space")
    assert "did you mean layers/counts?" in problem.hint


def test_an_unwritten_image_is_said_at_the_channel_that_names_it(lab):
    lab.steps += "  - {id: drawn, uses: plot.spatial, with: {channels: [highres/r, highres/g]}}\n"
    (problem,) = problems(lab)
    assert said(problem)[1].startswith("highres/r, highres/g]")
    assert "did you mean images/hires?" in problem.hint


def test_an_unwritten_read_is_said_once_for_all_samples(lab, sections):
    lab.samples = {f"s{i}": sections["a"] for i in range(7)}
    lab.edit("[spatialde.svg]", "[nothing.like.it]")
    (problem,) = problems(lab)
    assert "samples s0, s1, s2, s3, s4 and 2 more" in problem.what


def test_without_a_reader_axes_are_not_worth_a_problem_of_their_own(lab):
    lab.steps = "  - {id: log, uses: normalize.log}\n"
    (problem,) = problems(lab)
    assert problem.where.slot == "layers/counts"
    assert "read.visium" in problem.hint


def test_two_writers_are_one_problem_however_many_slots_they_share(lab):
    lab.steps += "  - {id: again, uses: svg.spatialde}\n"
    (problem,) = problems(lab)
    assert said(problem) == ("recipe.double-writer", "{id: again, uses: svg.spatialde}")
    assert "svg and again both write" in problem.what
    assert "key_added" in problem.hint


def test_exports_may_not_write_over_each_other(lab, sections):
    lab.samples = {"a": sections["a"], "b": sections["b"]}
    table = "  - {{id: {}, uses: export.table, with: {{path: '{}', what: var}}}}\n"
    lab.steps += table.format("all", "out/all.csv")
    lab.steps += table.format("one", "out/one-{sample}.csv") + table.format(
        "two", "out/../out/one-{sample}.csv"
    )
    first, second = problems(lab)
    assert said(first) == ("recipe.double-writer", "'out/all.csv', what: var}}")
    assert "{sample}" in first.hint
    assert (second.code, second.where.step) == ("recipe.double-writer", "two")


def test_steps_that_wait_for_each_other(lab):
    lab.edit("uses: svg.spatialde,", "uses: svg.spatialde, after: chosen,")
    (problem,) = problems(lab)
    assert problem.code == "recipe.cycle"
    assert "svg <- chosen <- svg" in problem.what
    assert said(problem)[1].startswith("{id: svg")


def test_a_step_that_waits_for_itself(lab):
    lab.edit("uses: normalize.log}", "uses: normalize.log, after: log}")
    assert [(p.code, p.where.step) for p in problems(lab)] == [("recipe.cycle", "log")]


def test_a_missing_folder_is_one_problem_at_the_samples_path(lab, tmp_path):
    lab.samples = {"a": tmp_path / "nowhere"}
    (problem,) = problems(lab)
    assert said(problem) == ("data.missing-file", f"{tmp_path}/nowhere}}")
    assert problem.where.sample == "a"


def test_a_missing_file_of_a_parameter_is_said_there(lab):
    lab.steps += "  - {id: labels, uses: annotate.obs, with: {table: labels.csv}}\n"
    (problem,) = problems(lab)
    assert said(problem) == ("data.missing-file", "labels.csv}}")


def test_a_missing_file_that_a_variable_names_is_told_how_to_say_it(lab, tmp_path):
    """The recipes that come along are applied without their variables by nearly everyone once."""
    lab.samples = {"a": "'${SPATIALRUN_TEST_SECTION:-nowhere/at/all}'"}
    lab.steps += "  - {id: labels, uses: annotate.obs, with: {table: '${SPATIALRUN_TEST_LABELS:-no.csv}'}}\n"
    section, labels = problems(lab)
    assert section.hint.startswith("a variable says where it is: SPATIALRUN_TEST_SECTION=PATH before")
    assert "SPATIALRUN_TEST_LABELS=PATH" in labels.hint
    lab.samples = {"a": tmp_path / "nowhere/at/all"}
    assert problems(lab)[0].hint == "paths are relative to the recipe's folder"


def test_a_reader_without_a_path_is_told_so(lab):
    lab.steps = "  - {id: read, uses: read.h5ad}\n"
    text = lab.text.replace(f"path: {lab.samples['a']}", "group: g")
    lab.root.mkdir()
    lab.recipe.write_text(text)
    with pytest.raises(RecipeErrors) as caught:
        load(lab.recipe)
    (problem,) = caught.value.problems
    assert problem.code == "recipe.missing-key"
    assert problem.where.line == text.splitlines().index("  a: {group: g}") + 1


def test_a_broken_file_is_found_by_its_header(lab, tmp_path, sections):
    broken = tmp_path / "broken"
    shutil.copytree(sections["a"], broken)
    matrix = broken / "filtered_feature_bc_matrix.h5"
    matrix.write_bytes(matrix.read_bytes()[:2000])
    lab.samples = {"a": broken}
    (problem,) = problems(lab)
    assert said(problem) == ("data.bad-file", f"{broken}}}")
    assert str(matrix) in problem.what


def test_all_problems_of_file_and_graph_are_said_together_in_the_order_of_the_file(lab, tmp_path, sections):
    lab.samples = {"a": sections["a"], "gone": tmp_path / "gone"}
    lab.steps = (
        lab.steps.replace("n_svg: 10", "n_svgs: 10")
        + "  - {id: log2, uses: normalize.log}\n"
        + "  - {id: x, uses: plot.spatail}\n"
    )
    found = problems(lab)
    assert [p.code for p in found] == [
        "data.missing-file",
        "recipe.unknown-key",
        "recipe.double-writer",
        "recipe.unknown-step",
    ]
    assert [p.where.line for p in found] == sorted(p.where.line for p in found)


def test_steps_at_fault_do_not_make_their_readers_faulty(lab):
    lab.edit("uses: svg.spatialde", "uses: svg.spatialed")
    assert [p.code for p in problems(lab)] == ["recipe.unknown-step"]


def test_a_name_that_only_a_file_makes_complete_is_refused_where_it_is_chosen(lab):
    lab.root.mkdir()
    (lab.root / "labels.csv").write_text("barcode,label\nx,y\n")
    lab.steps += "  - {id: labels, uses: annotate.obs, with: {table: labels.csv, prefix: '../../up.'}}\n"
    found = [said(problem) for problem in problems(lab)]
    assert found == [("recipe.bad-name", "'../../up.'}}")]


@pytest.mark.parametrize("column", ["a/b", "..", "up/../../x"])
def test_a_column_of_a_file_that_would_lead_elsewhere_is_refused_before_anything_runs(lab, column):
    lab.root.mkdir()
    (lab.root / "labels.csv").write_text(f"barcode,{column},cell type\nx,y,z\n")
    lab.steps += "  - {id: labels, uses: annotate.obs, with: {table: labels.csv}}\n"
    (problem,) = problems(lab)
    assert said(problem) == ("recipe.bad-name", "labels.csv}}")
    assert repr(column) in problem.what
    lab.edit("table: labels.csv", f"table: labels.csv, columns: {{'{column}': fine, cell type: kind}}")
    lab.load()

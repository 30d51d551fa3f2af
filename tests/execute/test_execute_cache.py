"""What an apply computes, and what it leaves alone."""

import json
import shutil
from pathlib import Path

import pytest
from lab import Lab, digests, done, entry, statuses

from spatialrun.api import load
from spatialrun.store.store import open_store

EXPORT = (
    "  - {id: table, uses: export.table, with: {path: 'out/{sample}.csv', what: var, columns: [chosen]}}\n"
)


def actions(lab: Lab) -> dict[tuple[str, str], tuple[str, int]]:
    """Step type and stage of every record to its attempt and time of writing."""
    found = {}
    for path in sorted((lab.store / "actions").glob("*/*.json")):
        record = json.loads(path.read_text())
        identity = record["identity"]
        found[identity["step"], identity["stage"]] = (record["attempt"], path.stat().st_mtime_ns)
    return found


def test_a_first_run_does_everything(applied):
    run = open_store(applied.store).runs.latest()
    assert statuses(run) == dict.fromkeys(["read", "log", "svg", "chosen"], "done")
    assert run.status == "done"
    assert {"layers/counts", "layers/lognorm", "var/spatialde.svg", "var/chosen"} <= set(run.slots("a"))


def test_a_second_run_does_nothing_and_writes_nothing(applied):
    last = open_store(applied.store).runs.latest()
    applied.load()
    before = applied.listing()
    outcome = applied.apply()
    assert (outcome.changed, outcome.run.id, outcome.errors) == (False, last.id, ())
    assert applied.listing() == before


def test_comments_jobs_and_memory_change_nothing(applied):
    applied.steps += "  # a remark\n"
    applied.load()
    before = applied.listing()
    assert not applied.apply(jobs=2, memory=10**9).changed
    assert applied.listing() == before


def test_a_late_parameter_runs_the_last_stage_and_the_readers_of_what_changed(applied):
    before = actions(applied)
    run = applied.apply("steps.svg.with.n_svg=3").run
    assert done(statuses(run)) == ["svg", "chosen"]
    after = actions(applied)
    for stage in ("setup", "blocks"):
        assert after["svg.spatialde", stage] == before["svg.spatialde", stage]
    assert after["read.visium", "final"] == before["read.visium", "final"]


def test_a_run_that_comes_to_equal_outputs_stops_there(applied):
    # There are fewer significant genes than either number: the same genes are marked.
    assert applied.apply("steps.svg.with.n_svg=150").run.status == "done"
    run = applied.apply("steps.svg.with.n_svg=160").run
    assert done(statuses(run)) == ["svg"]
    assert statuses(run)["chosen"] == "cached"


def test_going_back_runs_nothing(applied):
    first = open_store(applied.store).runs.latest()
    applied.apply("steps.svg.with.n_svg=3")
    outcome = applied.apply()
    assert set(statuses(outcome.run).values()) == {"cached"}
    assert outcome.changed  # the newest run is again that of the recipe as it is
    assert digests(outcome.run) == digests(first)


def test_renamed_steps_samples_and_outputs_make_a_new_run_of_cached_results(applied):
    applied.edit("id: svg", "id: tested")
    applied.edit("key_added: chosen", "key_added: picked")
    applied.samples = {"other": applied.samples["a"]}
    outcome = applied.apply()
    assert outcome.changed
    assert set(statuses(outcome.run, "other").values()) == {"cached"}
    assert "var/picked" in outcome.run.slots("other")


def test_outputs_that_change_names_with_each_other_are_not_mixed_up(applied):
    before = digests(open_store(applied.store).runs.latest())
    applied.edit("uses: normalize.log}", "uses: normalize.log, with: {norm_added: lognorm, key_added: norm}}")
    after = digests(applied.apply().run)
    assert after["a", "layers/norm"] == before["a", "layers/lognorm"]
    assert after["a", "layers/lognorm"] == before["a", "layers/norm"]


def test_an_added_sample_runs_alone_and_a_removed_one_leaves(applied, sections):
    applied.samples["b"] = sections["b"]
    both = applied.apply().run
    assert set(statuses(both).values()) == {"cached"}
    assert set(statuses(both, "b").values()) == {"done"}
    del applied.samples["a"]
    outcome = applied.apply()
    assert outcome.changed
    assert (list(outcome.run.samples), statuses(outcome.run)) == (["b"], {})


def test_metadata_of_samples_alone_makes_a_new_run(applied):
    applied.load()
    applied.recipe.write_text(applied.text.replace("a: {path", "a: {group: tumor, path"))

    outcome = load(applied.recipe).apply()
    assert outcome.changed
    assert outcome.run.samples["a"] == {"group": "tumor"}
    assert set(statuses(outcome.run).values()) == {"cached"}


def test_other_content_at_the_same_path_is_seen(lab, tmp_path, sections):
    shutil.copytree(sections["a"], tmp_path / "outs")
    lab.samples = {"a": tmp_path / "outs"}
    first = lab.apply().run
    shutil.copytree(sections["b"], tmp_path / "outs", dirs_exist_ok=True)
    second = lab.apply().run
    assert set(statuses(second).values()) == {"done"}
    assert digests(second) != digests(first)


def test_a_store_can_be_moved(applied, tmp_path):
    moved = tmp_path / "moved"
    shutil.move(applied.store, moved)
    text = applied.text.replace("store: store", f"store: {moved}")
    applied.recipe.write_text(text)

    assert not load(applied.recipe).apply().changed


def test_a_result_that_is_gone_is_computed_again(applied):
    before = open_store(applied.store).runs.latest()
    shutil.rmtree(applied.store / entry(before, "svg").outputs["var/spatialde.svg"].path)
    run = applied.apply().run
    assert done(statuses(run)) == ["svg"]
    assert digests(run) == digests(before)


def test_provenance_says_what_was_done_and_what_it_took(applied):
    run = open_store(applied.store).runs.latest()
    svg = entry(run, "svg")
    assert svg.identity["params"]["n_svg"] == 10
    assert svg.facts["wall_s"] > 0
    assert svg.facts["peak_rss"] > 10_000_000
    assert any("genes" in line for line in svg.facts["log"])
    record = open_store(applied.store).actions.get(svg.key)
    assert set(record.provenance["versions"]) >= {"spatialrun", "python", "numpy", "scipy"}
    assert record.identity == svg.identity


def test_a_cached_result_keeps_the_facts_of_its_making(applied):
    first = open_store(applied.store).runs.latest()
    second = applied.apply("steps.svg.with.n_svg=3").run
    assert entry(second, "read").facts == entry(first, "read").facts


def test_memory_is_the_tasks_own(lab, own_steps):
    lab.steps = lab.steps.splitlines(keepends=True)[0]
    lab.steps += "  - {id: big, uses: test.greedy, with: {flag: none, value: 300}}\n"
    lab.steps += "  - {id: small, uses: test.greedy, with: {flag: none, key_added: s}, after: big}\n"
    run = lab.apply().run
    assert entry(run, "big").facts["peak_rss"] - entry(run, "small").facts["peak_rss"] > 200_000_000


def test_a_step_that_runs_again_to_the_same_column_leaves_its_followers(lab, own_steps):
    lab.steps = lab.steps.splitlines(keepends=True)[0]
    lab.steps += "  - {id: base, uses: test.constant, with: {flag: none}}\n"
    lab.steps += "  - {id: next, uses: test.follower, with: {flag: none, key_added: n}}\n"
    lab.apply()
    run = lab.apply("steps.base.with.value=2").run
    assert statuses(run) == {"read": "cached", "base": "done", "next": "cached"}


class TestExports:
    @pytest.fixture
    def exported(self, applied) -> Lab:
        applied.steps += EXPORT
        assert applied.apply().run.status == "done"
        return applied

    def test_is_cached_while_the_file_is_as_it_was_written(self, exported):
        assert not exported.apply().changed

    @pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("edited")])
    def test_is_written_again_where_the_file_is_missing_or_altered(self, exported, damage):
        file = exported.root / "out/a.csv"
        content = file.read_bytes()
        damage(file)
        outcome = exported.apply()
        assert done(statuses(outcome.run)) == ["table"]
        assert outcome.changed
        assert file.read_bytes() == content
        assert not exported.apply().changed

    def test_a_touched_file_is_read_and_left_alone(self, exported):
        file = exported.root / "out/a.csv"
        file.touch()
        assert not exported.apply().changed

    def test_another_path_is_written_too(self, exported):
        assert exported.apply("steps.table.with.path=other/{sample}.tsv").run.status == "done"
        assert (exported.root / "other/a.tsv").exists()

    def test_nothing_is_left_half_written_when_it_fails(self, applied, own_steps):
        flag = applied.root / "flag"
        step = f"{{flag: {flag}, path: 'out/{{sample}}.txt'}}"
        applied.steps += f"  - {{id: half, uses: test.half_export, with: {step}}}\n"
        applied.apply()
        flag.touch()
        assert applied.apply("steps.half.with.value=2").run.status == "failed"
        assert [path.name for path in (applied.root / "out").iterdir()] == ["a.txt"]
        assert (applied.root / "out/a.txt").read_text() == "whole, value 1\n"

    def test_a_destination_that_cannot_be_written_is_said(self, applied):
        (applied.root / "out").write_text("a file where a folder should be")
        applied.steps += EXPORT
        (error,) = applied.apply().errors
        assert (error.code, error.where.step) == ("task.export", "table")

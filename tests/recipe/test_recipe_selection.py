"""Samples of a step by name, pattern and metadata."""

import pytest

HEAD = """\
spatialrun: 1
store: x
samples:
  p1-t1: {path: a, group: tumor, batch: 7, paired: true}
  p1-n1: {path: b, group: normal, batch: 7}
  p2-t1: {path: c, group: tumor, batch: '8'}
  sim:
steps:
"""


def step(samples):
    return f"{HEAD}- uses: plot.spatial\n  samples: {samples}\n"


@pytest.mark.parametrize(
    ("samples", "chosen"),
    [
        ("p1-n1", "p1-n1"),
        ("p1-*", "p1-t1 p1-n1"),
        ("p?-[tn]1", "p1-t1 p1-n1 p2-t1"),
        ("[sim, p1-t*]", "p1-t1 sim"),
        ("{group: tumor}", "p1-t1 p2-t1"),
        ("{group: [tumor, normal]}", "p1-t1 p1-n1 p2-t1"),
        ("{group: tumor, batch: 7}", "p1-t1"),
        ("{batch: '7'}", "p1-t1 p1-n1"),
        ("{batch: 8}", "p2-t1"),
        ("{paired: true}", "p1-t1"),
        ("[{batch: 8}, {group: normal}, sim]", "p1-n1 p2-t1 sim"),
        ("{group: ~}", "sim"),
    ],
)
def test_chosen(read, samples, chosen):
    assert " ".join(read(step(samples)).steps[0].samples) == chosen


@pytest.mark.parametrize(
    ("samples", "code", "column", "what", "hint"),
    [
        (
            "p1-n2",
            "unknown-sample",
            12,
            "unknown sample 'p1-n2'; did you mean 'p1-n1'?",
            "p1-t1, p1-n1, p2-t1",
        ),
        ("[sim, q-*]", "unknown-sample", 18, "unknown sample 'q-*'", "samples: p1-t1"),
        (
            "{grup: tumor}",
            "unknown-sample",
            13,
            "no sample has 'grup'; did you mean 'group'?",
            "batch, group",
        ),
        ("{group: tumour}", "unknown-sample", 20, "group 'tumour'; did you mean 'tumor'?", "tumor, normal"),
        ("{group: [normal, x]}", "unknown-sample", 29, "no sample has group 'x'", "tumor, normal"),
        ("{group: normal, batch: 8}", "unknown-sample", 12, "all of these at once: group and batch", ""),
        ("{group: {a: b}}", "wrong-type", 20, "group must be a value or a list", ""),
        ("{group: [[a]]}", "wrong-type", 21, "group must be a value or a list", ""),
        ("{}", "missing-key", 12, "asks for no metadata", ""),
        ("[]", "missing-key", 12, "names no sample", ""),
        ("[[sim]]", "wrong-type", 13, "found a list", ""),
        ("~", "wrong-type", 12, "found nothing", ""),
    ],
)
def test_a_fault(problem, samples, code, column, what, hint):
    found = problem(step(samples))
    assert (found.code, found.where.line, found.where.column) == (f"recipe.{code}", 10, column)
    assert what in found.what
    assert hint in (found.hint or "")


def test_a_sample_at_fault_may_be_the_one_that_is_asked_for(problem):
    found = problem(step("{group: other}").replace("  sim:", "  sim: {path: [], group: other}"))
    assert found.where.line == 7

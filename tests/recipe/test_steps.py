"""What a step asks of the executor, and what a recipe waives."""

import pytest

HEAD = "spatialrun: 1\nstore: x\nsamples: {a: p}\nsteps:\n- uses: plot.spatial\n"


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        ("90", 90),
        ("0.5", 0.5),
        ("90s", 90),
        ("30m", 1800),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("1d", 86400),
    ],
)
def test_timeout(read, timeout, seconds):
    assert read(f"{HEAD}  timeout: {timeout}").steps[0].timeout_s == seconds


def test_neither_by_default(read):
    step = read(f"{HEAD}  timeout:\n  retries: ~").steps[0]
    assert (step.retries, step.timeout_s) == (None, None)
    assert read(f"{HEAD}  retries: 0").steps[0].retries == 0, "another thing than to say nothing"
    assert read(f"{HEAD}  retries: 3").steps[0].retries == 3


@pytest.mark.parametrize(
    ("line", "code", "what"),
    [
        ("timeout: 0", "out-of-range", "more than 0"),
        ("timeout: -5", "out-of-range", "more than 0"),
        ("timeout: .nan", "out-of-range", "more than 0"),
        ("timeout: .inf", "out-of-range", "at most 365 days"),
        ("timeout: 9999d", "out-of-range", "at most 365 days"),
        ("timeout: 0s", "out-of-range", "more than 0"),
        ("timeout: soon", "wrong-type", "90s, 30m, 2h or 1h30m, found 'soon'"),
        ("timeout: 30m1h", "wrong-type", "found '30m1h'"),
        ("timeout: 12:30", "wrong-type", "found '12:30'"),
        ("timeout: ''", "wrong-type", "timeout"),
        ("timeout: true", "wrong-type", "found true"),
        ("timeout: [1]", "wrong-type", "found a list"),
        ("retries: -1", "out-of-range", "retries must be from 0 to 100, found -1"),
        ("retries: 1.5", "wrong-type", "retries must be a whole number, found 1.5"),
        ("retries: true", "wrong-type", "found true"),
        ("retrys: 1", "unknown-key", "did you mean 'retries'?"),
    ],
)
def test_a_fault(problem, line, code, what):
    found = problem(f"{HEAD}  {line}")
    assert (found.code, found.where.line) == (f"recipe.{code}", 6)
    assert what in found.what


@pytest.mark.parametrize("waived", ["conditional-writes", "[conditional-writes]"])
def test_waivers(read, waived):
    assert read(f"unsafe: {waived}\n{HEAD}").unsafe == {"conditional-writes"}


@pytest.mark.parametrize("waived", ["[]", "", "~"])
def test_no_waivers(read, waived):
    assert read(f"unsafe: {waived}\n{HEAD}").unsafe == frozenset()


def test_a_waiver_that_there_is_not(problem):
    found = problem(f"unsafe: [conditional-write]\n{HEAD}")
    assert (found.code, found.where.line, found.where.column) == ("recipe.unknown-key", 1, 10)
    assert found.what == "unknown waiver 'conditional-write'; did you mean 'conditional-writes'?"
    assert problem(f"unsafe: {{a: b}}\n{HEAD}").code == "recipe.wrong-type"

"""What is heard of a task in another process, and what is left of it when that is gone."""

import pytest
from test_execute_parts import SPEC

from spatialrun.errors import DataError, TaskError
from spatialrun.execute.events import Event
from spatialrun.execute.heard import LONGEST_LOG, TAIL, Heard
from spatialrun.execute.spec import TaskResult, error_to_json

DIED = TaskError("task.worker-died", "the process was killed")


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def heard(told) -> Heard:
    return Heard(SPEC, told.append)


def test_everything_is_passed_on_and_lines_are_kept(heard, told):
    events = [
        Event("task-log", "svg", "a", {"line": "one"}),
        Event("task-progress", "svg", "a", {"done": 1, "total": 2}),
        Event("task-warning", "svg", "a", {"line": "two"}),
    ]
    for event in events:
        heard(event)
    assert told == events
    assert heard.failed(DIED).facts == {"log": ["one", "warning: two"]}


def test_what_is_printed_is_told_and_kept(heard, told):
    heard.printed("from a library")
    (event,) = told
    assert (event.kind, event.step, event.sample) == ("task-log", "svg", "a")
    assert event.data == {"line": "from a library"}
    assert heard.failed(DIED).facts["log"] == ["from a library"]


def test_an_error_shows_the_end_of_the_log(heard):
    for number in range(20):
        heard(Event("task-log", "svg", "a", {"line": f"line {number}"}))
    error = heard.failed(DIED).error
    said = error["what"].splitlines()
    assert said[:2] == ["the process was killed", "its log ends:"]
    assert said[2:] == [f"  line {number}" for number in range(20 - TAIL, 20)]


@pytest.mark.parametrize(
    "problem", [DataError("data.empty", "no spots"), TaskError("task.missing-package", "it needs skimage")]
)
def test_an_error_that_says_all_itself_shows_none_of_it(heard, problem):
    heard.printed("a line")
    error = error_to_json(problem)
    assert heard.whole(TaskResult(error=error)).error == error


def test_without_a_log_there_is_no_end_of_it(heard):
    assert heard.failed(DIED).error["what"] == DIED.what


def test_the_log_does_not_grow_without_end(heard):
    for number in range(LONGEST_LOG + 5):
        heard(Event("task-log", "svg", "a", {"line": str(number)}))
    log = heard.failed(DIED).facts["log"]
    assert (len(log), log[0], log[-1]) == (LONGEST_LOG, "5", str(LONGEST_LOG + 4))


def test_a_result_has_what_was_printed_and_nothing_twice(heard):
    heard(Event("task-log", "svg", "a", {"line": "told"}))
    heard.printed("printed")
    result = heard.whole(TaskResult(facts={"wall_s": 1.0, "log": ["told", "Traceback"]}))
    assert result.facts == {"wall_s": 1.0, "log": ["told", "printed", "Traceback"]}

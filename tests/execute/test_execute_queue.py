"""Which of the tasks that wait may begin next, and where."""

from types import SimpleNamespace
from typing import Any

import pytest

from spatialrun.execute.queue import PATIENCE, SMALL, Queue, Ready

BIG = SMALL + 1


def ready(name: str, memory: int = 1, **more: Any) -> Ready:
    return Ready(SimpleNamespace(id=name), None, memory, **more)


def queue(*waiting: Ready, memory: int | None = 10 * BIG, workers: str = "where they pay") -> Queue:
    made = Queue(memory, workers)
    for each in waiting:
        made.add(each)
    return made


def taken(queue: Queue, *running: Ready, width: int = 4, idle: int = 0) -> tuple[str, str] | None:
    found = queue.take(running, width=width, idle=idle)
    return found and (found[0].task.id, found[1])


def test_the_first_that_fits_is_taken_not_only_the_first():
    waiting = queue(ready("huge", 9 * BIG), ready("medium", 2 * BIG), ready("other", 2 * BIG))
    running = ready("running", 5 * BIG)
    assert taken(waiting, running) == ("medium", "worker")
    assert taken(waiting, running, ready("medium", 2 * BIG)) == ("other", "worker")
    assert taken(waiting, running, ready("medium", 2 * BIG)) is None


def test_one_that_never_fits_runs_alone():
    assert taken(queue(ready("huge", 99 * BIG))) == ("huge", "here")
    waiting = queue(ready("huge", 99 * BIG), ready("giant", 98 * BIG))
    assert taken(waiting) == ("huge", "here")  # in a worker it would need more still
    assert taken(waiting, ready("huge", 99 * BIG)) is None


def test_no_more_are_taken_than_may_run():
    assert taken(queue(ready("a")), ready("b"), ready("c"), width=2) is None


def test_the_only_large_task_runs_here_after_the_small_ones():
    waiting = queue(ready("large", BIG), ready("small"))
    assert [taken(waiting), taken(waiting), taken(waiting)] == [("small", "here"), ("large", "here"), None]


def test_large_tasks_are_begun_in_workers_before_small_ones_run_here():
    waiting = queue(ready("small"), ready("one", BIG), ready("two", BIG))
    one, two = ready("one", BIG), ready("two", BIG)
    assert taken(waiting) == ("one", "worker")
    assert taken(waiting, one) == ("two", "worker")
    assert taken(waiting, one, two) == ("small", "here")


def test_small_tasks_go_to_workers_that_are_idle_or_where_many_wait():
    large = ready("large", BIG)
    assert taken(queue(ready("small")), large, idle=1) == ("small", "worker")
    many = [ready(str(number)) for number in range(PATIENCE + 1)]
    assert taken(queue(*many)) == ("0", "worker")


def test_with_one_core_all_run_here_but_what_needs_a_process_of_its_own():
    waiting = queue(ready("one", BIG), ready("two", BIG), ready("bounded", BIG, isolated=True))
    assert [taken(waiting, width=1) for _ in range(3)] == [
        ("one", "here"),
        ("two", "here"),
        ("bounded", "worker"),
    ]


@pytest.mark.parametrize(("workers", "place"), [("never", "here"), ("always", "worker")])
def test_where_there_is_no_choice(workers, place):
    assert taken(queue(ready("a", isolated=True), workers=workers)) == ("a", place)
    assert taken(queue(ready("a", 99 * BIG), memory=None, workers=workers), ready("b", BIG)) == ("a", place)


def test_cores_are_shared_by_the_large_tasks_that_could_run():
    waiting = queue(*(ready(str(number), BIG) for number in range(3)))
    waiting.take((), width=8, idle=0)
    assert waiting.together((), width=8) == 3
    assert waiting.together((), width=2) == 2
    assert queue(ready("small")).together((), width=8) == 1


class TestDevices:
    def test_one_task_at_a_time_has_a_device(self):
        waiting = queue(*(ready(name, devices=("cuda:0", "cuda:1")) for name in "abc"))
        first, place = waiting.take((), width=9, idle=0)
        second, _ = waiting.take([first], width=9, idle=0)
        assert (place, first.devices, second.devices) == ("alone", ("cuda:0",), ("cuda:1",))
        assert waiting.take([first, second], width=9, idle=0) is None
        third, _ = waiting.take([second], width=9, idle=0)
        assert (third.task.id, third.devices) == ("c", ("cuda:0",))

    def test_others_pass_one_that_waits_for_its_device(self):
        first, _ = queue(ready("a", BIG, devices=("cpu",))).take((), width=9, idle=0)
        waiting = queue(ready("b", BIG, devices=("cpu",)), ready("c", BIG))
        assert taken(waiting, first) == ("c", "worker")
        assert taken(waiting, first) is None

    def test_it_is_begun_before_small_tasks_that_this_process_runs(self):
        waiting = queue(ready("small"), ready("gpu", devices=("cpu",)))
        assert [taken(waiting), taken(waiting)] == [("gpu", "alone"), ("small", "here")]

    @pytest.mark.parametrize(("workers", "place"), [("never", "here"), ("where they pay", "alone")])
    def test_with_one_core_too(self, workers, place):
        waiting = queue(ready("gpu", devices=("cpu",)), workers=workers)
        assert taken(waiting, width=1) == ("gpu", place)

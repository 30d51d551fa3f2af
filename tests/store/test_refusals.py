"""A disk that is full, a permission that is lost: said with a code, nothing half done, and gone on with later."""

from __future__ import annotations

import errno
import os
import shutil

import pytest
from test_kill_points import Bench, Point, every, one_of_each

CODES = {"store.permission", "task.export"}
REFUSALS = {
    "disk full": (errno.ENOSPC, ("mkdir", "write", "link")),
    "permission lost": (errno.EACCES, ("mkdir", "write", "link", "rename", "remove", "rmdir")),
    "read-only": (errno.EROFS, ("mkdir", "write", "link", "rename", "remove", "rmdir")),
}


@pytest.fixture
def bench(home, warm) -> Bench:
    return Bench(home, warm, None)


def refused(bench: Bench, refusal: str, points: list[Point]) -> dict[Point, list[str]]:
    """Refuse everything from points on, look at what is said and left; then allow it again, and go on."""
    number, _ = REFUSALS[refusal]
    said: dict[Point, list[str]] = {}

    def refuse(point: Point) -> dict[str, object]:
        place = bench.place()
        found = bench.do("apply", **place, at=point.at, refuse=number)
        wrong = [text for text in found["errors"] if os.strerror(number) not in text]
        if not set(found["codes"]) <= CODES or wrong:
            said[point] = found["errors"]
        return place

    return bench.each(points, refuse) | said


def points_of(bench: Bench, refusal: str, points: list[Point]) -> list[Point]:
    kinds, verbs = bench.undisturbed["points"], REFUSALS[refusal][1]
    return [p for p in points if not p.torn and kinds[p.at].split()[0] in verbs]


@pytest.mark.slow
@pytest.mark.parametrize("refusal", REFUSALS)
def test_refused_from_a_point_of_each_sort_on(bench, refusal):
    sorts = [Point(point.at) for point in one_of_each(bench.undisturbed["points"])]
    points = points_of(bench, refusal, sorts)
    assert len(points) >= 10
    assert refused(bench, refusal, points) == {}


@pytest.mark.slow
def test_full_from_every_point_on(bench):
    points = points_of(bench, "disk full", every(bench.undisturbed["points"]))
    assert refused(bench, "disk full", points) == {}


def test_an_export_to_a_full_disk_fails_alone(bench):
    place = bench.place()
    found = bench.do("apply", **place, at=0, refuse=errno.ENOSPC, within="out.csv")
    assert (found["codes"], found["status"]) == (["task.export"], "failed")
    assert "No space left on device" in found["errors"][0]
    assert bench.go_on(place, thorough=True) == []


def test_a_task_that_cannot_write_says_so_and_costs_its_followers_alone(bench):
    place = bench.place()
    at = bench.undisturbed["points"].index("write /store/partial/*/.0000000-0000020.npz.*")
    found = bench.do("apply", **place, at=at, refuse=errno.ENOSPC, within="/store/data/")
    assert found["codes"] == ["store.permission", "store.permission"]
    assert found["tasks"] == {"read": "done", "sums": "failed", "joined": "failed", "table": "skipped"}
    assert bench.go_on(place, thorough=True) == []


def test_what_is_there_can_be_read_where_nothing_can_be_written(bench):
    place = bench.place()
    first = bench.do("apply", **place, watch=False)
    again = bench.do("apply", **place, at=0, refuse=errno.EROFS)
    assert (again["errors"], again["changed"]) == ([], False)
    assert again["digests"] == first["digests"]
    found = bench.do("apply", **place, at=0, refuse=errno.EROFS, edits=["steps.sums.with.factor=3"])
    assert found["codes"] == ["store.permission"]
    assert "Read-only file system" in found["errors"][0]
    shutil.rmtree(place["root"])

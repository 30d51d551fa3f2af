"""Killed at any step of what it does to a store, a process leaves a whole one; the next comes to the same."""

from __future__ import annotations

import itertools
import os
import random
import re
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from forks import KILLED, Forks
from kill_points import Points

THOROUGHLY_EVERY = 8
KILLS = 100
SWEEP = os.environ.get("SPATIALRUN_KILL_POINTS")
ALL = SWEEP == "all"
"""Whether to take every point, and not three of each kind: the same step for the same sort of file."""


def sweep(test):
    """Mark a test that takes minutes for three points of each kind, and up to an hour for all of them."""
    reason = "a sweep of ten minutes: set SPATIALRUN_KILL_POINTS to some or all"
    return pytest.mark.timeout(7200)(pytest.mark.skipif(not SWEEP, reason=reason)(test))


@dataclass(frozen=True)
class Point:
    """Where to kill: before the step of a number, or leaving what is written there torn."""

    at: int
    torn: bool = False


class Bench:
    """Places to kill in, and what is done there.

    ``bucket`` is where the stores are, if not in folders; without ``links``, file systems have no hard links.
    """

    def __init__(self, home: Path, warm: list[Forks], bucket: str | None, *, links: bool = True) -> None:
        self.home, self.bucket, self.links, self._warm = home, bucket, links, warm
        self._numbers = itertools.count()
        self.missed: list[Point] = []
        self._free: SimpleQueue[Forks] = SimpleQueue()
        for forks in warm:
            self._free.put(forks)
        self.undisturbed = self.do("apply", **self.place(), links=links)

    def place(self) -> dict[str, Any]:
        """A new place: a folder, and a URL where stores are in a bucket."""
        name = f"{self.home.name}-{id(self)}-{next(self._numbers)}"
        return {"root": str(self.home / name), "url": f"{self.bucket}/{name}" if self.bucket else None}

    def do(self, job: str, **arguments: Any) -> Any:
        """Do a job to its end."""
        forks = self._free.get()
        try:
            return forks.run(job, **arguments).kept()
        finally:
            self._free.put(forks)

    def kill(self, job: str, point: Point, **arguments: Any) -> None:
        """Begin a job, and kill it at a point."""
        forks = self._free.get()
        try:
            answer = forks.run(job, at=point.at, torn=point.torn, **arguments)
        finally:
            self._free.put(forks)
        if answer.code != KILLED:  # how often a heartbeat is written depends on how long all took
            self.missed.append(point)

    def go_on(self, place: dict[str, Any], *, thorough: bool) -> list[str]:
        """Go on where something was killed; return what is amiss."""
        found = self.do("recover", **place, thorough=thorough, links=self.links)
        told = ("status", "digests", "export")
        wrong = [name for name in told if found.get(name) != self.undisturbed[name]]
        self.clear(place)
        return [*found["amiss"], *found["errors"], *(f"another {name}" for name in wrong)]

    def clear(self, place: dict[str, Any]) -> None:
        shutil.rmtree(place["root"], ignore_errors=True)

    def each(self, points: Iterable[Point], kill: Any) -> dict[Point, list[str]]:
        """Kill at each of some points, and go on; return what is amiss where something is."""

        def one(numbered: tuple[int, Point]) -> list[str]:
            number, point = numbered
            place = kill(point)
            return self.go_on(place, thorough=number % THOROUGHLY_EVERY == 0)

        points = list(points)
        with ThreadPoolExecutor(len(self._warm)) as pool:
            amiss = list(pool.map(one, enumerate(points)))
        assert len(self.missed) <= max(2, len(points) // 20), f"never come to: {self.missed}"
        return {point: found for point, found in zip(points, amiss, strict=True) if found}

    def in_apply(self, points: Iterable[Point]) -> dict[Point, list[str]]:
        """Kill the first apply at points."""

        def kill(point: Point) -> dict[str, Any]:
            place = self.place()
            self.kill("apply", point, **place, links=self.links)
            return place

        return self.each(points, kill)


def every(kinds: list[str]) -> list[Point]:
    """Every point there is; of those of one kind three at most, unless all are asked for."""
    numbers: dict[str, list[int]] = {}
    for at, kind in enumerate(kinds):
        numbers.setdefault(kind, []).append(at)
    if not ALL:
        numbers = {kind: sorted({n[0], n[len(n) // 2], n[-1]}) for kind, n in numbers.items()}
    chosen = sorted(at for some in numbers.values() for at in some)
    torn = [Point(at, torn=True) for at in chosen if kinds[at].startswith("write ")]
    return [*map(Point, chosen), *torn]


def one_of_each(kinds: list[str]) -> list[Point]:
    """The last point of every sort: what is done, in which part of the store."""
    last: dict[str, Point] = {}
    for at, kind in enumerate(kinds):
        verb, _, path = kind.partition(" ")
        parts = path.removeprefix("/store/").strip("/").split("/")
        last[f"{verb} {parts[0]}"] = Point(at, torn=verb == "write")
    return list(last.values())


@pytest.fixture(params=["local", "s3"])
def bench(request, home, warm) -> Bench:
    bucket = request.getfixturevalue("bucket") if request.param == "s3" else None
    return Bench(home, warm, bucket)


@pytest.mark.slow
def test_killed_at_one_point_of_each_sort(bench):
    points = one_of_each(bench.undisturbed["points"])
    assert len(points) >= 15
    assert bench.in_apply(points) == {}


def test_killed_at_the_points_of_the_commit(home, warm):
    bench = Bench(home, warm, None)
    kinds = bench.undisturbed["points"]
    last = {kind: at for at, kind in enumerate(kinds) if re.search("/(actions|leases|latest)", kind)}
    assert len(last) >= 10
    points = [Point(at, torn=kind.startswith("write")) for kind, at in last.items()]
    assert bench.in_apply(points) == {}


@sweep
@pytest.mark.slow
def test_killed_at_every_point(bench):
    points = every(bench.undisturbed["points"])
    print(f"{len(points)} points of {len(set(bench.undisturbed['points']))} kinds")
    assert {bench.undisturbed["points"][point.at] for point in points} == set(bench.undisturbed["points"])
    assert bench.in_apply(points) == {}


def collecting(bench: Bench) -> tuple[Any, list[str]]:
    """A function that kills a collection in a store of two runs, and the points of one."""
    old = bench.place() | {"url": None}
    bench.do("apply", **old, edits=["steps.sums.with.factor=2"], watch=False)
    bench.do("apply", **old, watch=False)

    def copy() -> dict[str, Any]:
        place = bench.place()
        if bench.bucket:
            Path(place["root"]).mkdir()
            shutil.copy(Path(old["root"]) / "out.csv", place["root"])
            bench.do("copy", folder=f"{old['root']}/store", url=place["url"])
        else:
            shutil.copytree(old["root"], place["root"])
        return place

    def kill(point: Point) -> dict[str, Any]:
        place = copy()
        bench.kill("collect", point, **place)
        return place

    undisturbed = bench.do("collect", **copy())
    assert undisturbed["gone"] > 0
    return kill, undisturbed["points"]


@pytest.mark.slow
def test_a_collection_killed_at_one_point_of_each_sort(bench):
    kill, kinds = collecting(bench)
    assert bench.each(one_of_each(kinds), kill) == {}


@sweep
@pytest.mark.slow
def test_a_collection_killed_at_every_point(home, warm):
    bench = Bench(home, warm, None)
    kill, kinds = collecting(bench)
    points = every(kinds)
    print(f"{len(points)} points of {len(set(kinds))} kinds")
    assert bench.each(points, kill) == {}


@pytest.mark.slow
@pytest.mark.parametrize(("where", "kills"), [("local", KILLS), ("s3", KILLS // 5)])
def test_killed_at_random_times_again_and_again(request, home, warm, where, kills):
    """Each goes on in the store that the ones before it have left; when that is done, in a new one."""
    bench = Bench(home, warm, request.getfixturevalue("bucket") if where == "s3" else None)
    forks, draw = warm[0], random.Random(1)
    place, killed, finished = bench.place(), 0, 0
    longest = 0.6 if where == "local" else 3.0
    while killed < kills:
        answer = forks.run("apply", kill_after=draw.uniform(0, longest), watch=False, **place)
        killed += answer.code == KILLED
        assert answer.code in (0, KILLED), answer.said
        assert forks.run("look", **place).kept() == []
        if answer.code == 0:
            finished += 1
            assert bench.go_on(place, thorough=True) == []
            place = bench.place()
    print(f"{killed} kills, {finished + 1} stores")
    assert bench.go_on(place, thorough=True) == []


def test_what_one_thread_does_while_another_is_at_a_point_is_counted(tmp_path):
    points = Points(str(tmp_path))
    points._thread.inside = True
    opened = (str(tmp_path / "file"), "wb", os.O_WRONLY)
    with ThreadPoolExecutor(1) as threads:
        threads.submit(points._hear, "open", opened).result()
    points._hear("open", opened)
    assert points.seen == ["write /file"]

"""Races: eight processes at once on one store; each task is computed once, and nothing is ever wrong."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from forks import Forks
from steps_of_tests import forget

from spatialrun.store.store import open_store
from spatialrun.store.verify import verify

PROCESSES = 8
ROUNDS = {"local": 20, "s3": 5}
PARTS = {"setup": 1, "0": 1, "20": 1, "combine": 1, "a": 1}
"""What is noted of the recipe's streamed step and its step on the cohort, and how often."""
OTHER = ["steps.sums.with.factor=2"]
"""Makes another recipe of it, which shares the blocks."""


class Race:
    """Places for races; ``bucket`` is where the stores are, if not in folders."""

    def __init__(self, home: Path, forks: Forks, bucket: str | None) -> None:
        self.home, self.forks, self.bucket = home, forks, bucket
        self._numbers = itertools.count()

    def run(
        self, edits: list[list[str]], amiss: tuple[str, ...] = (), **arguments: Any
    ) -> tuple[str, list[dict[str, Any]]]:
        """Apply at once, each in a folder of its own, to one new store; return it, and what came of each."""
        name = f"race-{id(self)}-{next(self._numbers)}"
        url = f"{self.bucket}/{name}" if self.bucket else str(self.home / name)
        roots = [str(self.home / f"{name}-{number}") for number in range(len(edits))]
        jobs = [
            ("apply", {"root": root, "url": url, "edits": edit, "watch": False, **arguments})
            for root, edit in zip(roots, edits, strict=True)
        ]
        answers = [answer.kept() for answer in self.forks.together(jobs)]
        assert self.forks.run("look", root=roots[0], url=url).kept() == list(amiss)
        for root in roots:
            shutil.rmtree(root)
        return url, answers

    def clear(self, url: str) -> None:
        if not self.bucket:
            shutil.rmtree(url)


@pytest.fixture(params=["local", "s3"])
def race(request, home, warm) -> Race:
    return Race(home, warm[0], request.getfixturevalue("bucket") if request.param == "s3" else None)


def rounds(race: Race) -> range:
    return range(ROUNDS["s3" if race.bucket else "local"])


def computed(answers: list[dict[str, Any]]) -> Counter[str]:
    """How many have computed each step."""
    assert [answer["errors"] for answer in answers] == [[]] * len(answers)
    return Counter(step for answer in answers for step, s in answer["tasks"].items() if s == "done")


def one_round(race: Race) -> None:
    url, answers = race.run([[]] * PROCESSES)
    assert computed(answers) == {"read": 1, "sums": 1, "joined": 1, "table": PROCESSES}  # to eight files
    assert Counter(forget(race.home / "flag")) == PARTS
    assert all(answer["digests"] == answers[0]["digests"] for answer in answers)
    assert len({answer["export"] for answer in answers}) == 1
    store = open_store(url)
    assert (list(store.leases), list(store.intents)) == ([], [])
    race.clear(url)


def test_of_eight_processes_one_computes_each_task(race, home):
    forget(home / "flag")
    one_round(race)


@pytest.mark.slow
def test_of_eight_processes_one_computes_each_task_again_and_again(race, home):
    forget(home / "flag")
    for _ in rounds(race):
        one_round(race)


@pytest.mark.slow
def test_two_recipes_that_share_steps_compute_those_once(race, home):
    forget(home / "flag")
    for _ in rounds(race):
        url, answers = race.run([[], OTHER] * (PROCESSES // 2))
        assert computed(answers) == {"read": 1, "sums": 2, "joined": 1, "table": PROCESSES}
        assert Counter(forget(race.home / "flag")) == PARTS | {"combine": 2}
        for mine in (answers[::2], answers[1::2]):
            assert all(answer["digests"] == mine[0]["digests"] for answer in mine)
        race.clear(url)


@pytest.mark.slow
def test_without_leases_work_is_done_twice_and_nothing_is_wrong(race, home):
    """They save work alone: that results are right rests on the commit."""
    for _ in range(ROUNDS["s3"]):
        url, answers = race.run([[]] * PROCESSES, leases=False)
        assert computed(answers)["sums"] >= 1
        assert all(answer["digests"] == answers[0]["digests"] for answer in answers)
        race.clear(url)


def test_second_results_that_differ_are_noted_and_shown(race, home):
    steps = (
        "  - {id: read, uses: read.h5ad}\n"
        f"  - {{id: odd, uses: test.restless, with: {{flag: {home / 'flag'}, value: 2}}}}\n"
    )
    forget(home / "flag")
    said = ("a finding about test.restless",)
    url, answers = race.run([[]] * PROCESSES, said, leases=False, steps=steps)
    assert all(answer["digests"] == answers[0]["digests"] for answer in answers), "the first one's stands"
    (finding,) = verify(open_store(url)).findings
    assert (finding.uses, finding.ports) == ("test.restless", ("column",))
    standing, other = finding.standing.digests["column"], finding.other.digests["column"]
    assert standing == answers[0]["digests"]["a obs/noted"]
    assert other not in ("", standing)

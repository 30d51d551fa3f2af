"""Leases: who is at work on an action, so that nobody does the same work at the same time.

Correctness never needs them: two that compute one action come to one record all the same. A lease is a file named
after the action's key, created exclusively, that names a run; it holds for as long as the intent of that run
lives. It ends with the run, however that ends, and nobody ever has to unlock anything.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

from spatialrun.errors import StoreError
from spatialrun.store.backend import Backend
from spatialrun.store.intents import Intent, Intents

FOLDER = "leases"
SILENCE = 60.0
"""Seconds without a heartbeat after which a run is believed to work no more.

They are counted by the clock of whoever waits, from when it last saw the heartbeat change: what the clocks of two
hosts say, or that one of them was set back, does not matter.
"""


class Leases:
    """The leases of a store."""

    def __init__(self, backend: Backend, intents: Intents) -> None:
        self._backend = backend
        self._intents = intents
        self._heard: dict[str, tuple[float, float]] = {}

    def take(self, key: str, run: str) -> bool:
        """Take the lease of an action for a run; say whether nobody else has it.

        One that cannot be written down is taken, too: work is then done twice at most.
        """
        path, content = _path(key), run.encode()
        try:
            while not self._backend.create(path, content):
                old = self._backend.get(path)
                if old == content:
                    return True
                if old is not None:
                    return self.holder(old.decode(errors="replace")) is None and (
                        self._backend.swap(path, old, content)
                    )
        except StoreError as error:
            if error.code != "store.permission":
                raise
        return True

    def give_back(self, key: str, run: str) -> None:
        """Return a lease, if it is still that run's; one that cannot be removed ends with the run."""
        with suppress(StoreError):  # whatever is wrong with the place, it is no lease that should say it
            if self._backend.get(_path(key)) == run.encode():
                self._backend.delete(_path(key))

    def of(self, key: str) -> Intent | None:
        """Return who is at work on an action; ``None`` where nobody is."""
        content = self._backend.get(_path(key))
        return self.holder(content.decode(errors="replace")) if content else None

    def holder(self, run: str) -> Intent | None:
        """Return the intent of a run, if it is at work; ``None`` if it has ended, or is dead."""
        intent = self._intents.of(run)
        if intent is None or not intent.is_alive():
            return None
        beat, heard = self._heard.get(run, (None, 0.0))
        if beat != intent.heartbeat:
            heard = time.monotonic()
            self._heard[run] = (intent.heartbeat, heard)
        return intent if time.monotonic() - heard < SILENCE else None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield the path of every lease, and the run that it names."""
        for facts in list(self._backend.walk(FOLDER)):
            yield facts.path, (self._backend.get(facts.path) or b"").decode(errors="replace")


def _path(key: str) -> str:
    return f"{FOLDER}/{key}"

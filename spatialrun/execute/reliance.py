"""Reliance: what a run says that it relies on, from before its first decision until it is saved.

The protocol is that of :mod:`spatialrun.store.gc`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from time import time
from typing import Any

from spatialrun.errors import StoreError
from spatialrun.store.attempts import attempt_of
from spatialrun.store.elements import ObjectRef
from spatialrun.store.intents import Intent
from spatialrun.store.runs import Run
from spatialrun.store.store import Store

HEARTBEAT = 10.0
"""Seconds after which an intent is written anew."""


class Reliance:
    """The intent of one run, as a context.

    Attributes
    ----------
    last
        The run before, all of whose objects may be relied on; ``None`` where there is none, or it is going.
    """

    def __init__(self, store: Store, run: str) -> None:
        self.run = run
        self.last: Run | None = None
        self._store = store
        self._intent = Intent(run)
        self._covered: set[str] = set()
        self._active = False
        self._ended = threading.Event()
        self._beat = threading.Thread(target=self._keep_alive, name="spatialrun-heartbeat", daemon=True)

    def __enter__(self) -> Reliance:
        last = self._store.runs.latest()
        self._intent = replace(self._intent, last=last.id if last else None)
        self._active = self._announce()
        if last is not None and (not self._active or self._store.runs.stands(last.id)):
            self.last = last
            outputs = (ref for task in last.tasks.values() for ref in task.outputs.values())
            self._covered = set(_attempts(outputs))
        if self._active:
            self._beat.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._active:
            self._ended.set()
            self._beat.join()
            self._store.intents.withdraw(self.run)

    def on(self, outputs: Iterable[ObjectRef]) -> bool:
        """Rely on objects; say whether all of them will stay."""
        new = set(_attempts(outputs)) - self._covered
        if not self._active or not new:
            return True
        lost = self._store.intents.rely(self.run, new)
        self._covered |= new - lost
        return not lost

    def tell(self, **progress: Any) -> None:
        """Say how far the run is; written with the next heartbeat."""
        self._intent = replace(self._intent, progress={**self._intent.progress, **progress})

    def _announce(self) -> bool:
        """Write the intent; say whether that could be done: who may only read relies on what others leave."""
        try:
            self._store.intents.announce(replace(self._intent, heartbeat=time()))
        except StoreError as error:
            if error.code != "store.permission":
                raise
            return False
        return True

    def _keep_alive(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            try:
                self._announce()
            except StoreError:
                continue  # out of reach for a moment: the intent counts for a day without a heartbeat


def _attempts(outputs: Iterable[ObjectRef]) -> Iterable[str]:
    return (attempt_of(ref.path) for ref in outputs if ref.path)

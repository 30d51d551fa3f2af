"""Ctrl-C: once to let what is running come to a good end, twice to stop at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self


class Interrupts:
    """Takes Ctrl-C while it is entered: the first is noted, the second raises ``KeyboardInterrupt``.

    Signals reach the main thread alone: entered in another one, it does nothing.

    Parameters
    ----------
    first
        Called once when the first comes, in a thread of its own: whatever the main thread holds, it may wait for.
    """

    def __init__(self, first: Callable[[], None]) -> None:
        self.asked = False
        self._first = first
        self._mine = threading.current_thread() is threading.main_thread()
        self._before: signal._HANDLER = None

    def __enter__(self) -> Self:
        if self._mine:
            self._before = signal.signal(signal.SIGINT, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._mine:
            signal.signal(signal.SIGINT, self._before)

    def _take(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        threading.Thread(target=self._first, name="spatialrun-interrupt", daemon=True).start()

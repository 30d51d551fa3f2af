"""What a method that takes its time tells while it runs."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Takes lines for the log, warnings, and how far a method is; the context of a running step is one."""

    def log(self, message: str) -> None:
        """Take a line for the log."""

    def warn(self, message: str) -> None:
        """Take a line that whoever asked for the result should see."""

    def progress(self, done: int, total: int, unit: str = "") -> None:
        """Take how many of how many units are done."""


class Silent:
    """The reporter that nobody listens to."""

    def log(self, message: str) -> None:
        """Forget it."""

    def warn(self, message: str) -> None:
        """Forget it."""

    def progress(self, done: int, total: int, unit: str = "") -> None:
        """Forget it."""


SILENT = Silent()

"""The command line: every command parses its words, calls the Python interface, and prints."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``spatialrun`` and return its exit code; ``arguments`` are the process's own by default."""
    from spatialrun.cli.app import run

    return run(arguments)

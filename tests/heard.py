"""A reporter that remembers what methods tell it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Heard:
    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    """What progress was counted in, in the order of their first reports."""

    def log(self, message: str) -> None:
        self.lines.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def progress(self, done: int, total: int, unit: str = "") -> None:
        assert 0 < done <= total
        if unit not in self.units:
            self.units.append(unit)

"""``scalefactors_json.json``: what one pixel of each image stands for."""

from __future__ import annotations

import json
import math
from pathlib import Path

from spatialrun.errors import DataError, Where


def read_scalefactors(path: Path) -> dict[str, float]:
    """Read the numbers of a scale factor file.

    Raises
    ------
    DataError
        ``data.missing-file``; ``data.bad-file`` when it is not JSON, or a value is not a positive number.
    """
    where = Where(file=str(path))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError("data.missing-file", f"there is no file {path.name}", where=where) from error
    except (ValueError, OSError) as error:
        raise DataError("data.bad-file", f"{path.name} is not JSON: {error}", where=where) from error
    if not isinstance(content, dict):
        raise DataError("data.bad-file", f"{path.name} is not a JSON object", where=where)
    for name, value in content.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise DataError(
                "data.bad-file", f"{name} in {path.name} is {value!r}, not a positive number", where=where
            )
    return {name: float(value) for name, value in content.items()}

"""``python -m spatialrun`` is ``spatialrun``."""

from __future__ import annotations

import sys

from spatialrun.cli import main

if __name__ == "__main__":
    sys.exit(main())

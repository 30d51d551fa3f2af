"""Options: how to run, where nothing can change a result."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from spatialrun.execute.machine import cores
from spatialrun.execute.memory import default_budget


@dataclass(frozen=True)
class Options:
    """How to run; nothing here can change a result.

    Attributes
    ----------
    jobs
        Cores to use; all that this process may use by default.
    memory
        Bytes that the run may use; 70% of what is free to this process by default.
    scheduler
        Address of a dask cluster's scheduler, to compute there; ``DASK_SCHEDULER_ADDRESS`` by default.
    keep_going
        Whether a task that fails costs its followers alone; else nothing is begun after it.
    retries
        How often a task that fails is tried again, where its step does not say.
    timeout_s
        Seconds that a task may take, where its step does not say; ``None`` for any number. A store in the memory
        of this process cannot hold a task to it; on a cluster, blocks that have begun come to their end.
    """

    jobs: int = field(default_factory=cores)
    memory: int = field(default_factory=default_budget)
    scheduler: str | None = field(default_factory=lambda: os.environ.get("DASK_SCHEDULER_ADDRESS") or None)
    keep_going: bool = True
    retries: int = 0
    timeout_s: float | None = None

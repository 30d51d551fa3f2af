"""Streams gene blocks: computes those that are not there yet, several at a time, and saves each as it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from spatialrun.errors import StoreError
from spatialrun.steps.contract import Block, Context, Inputs, StreamingStep
from spatialrun.store.partial import Partial

if TYPE_CHECKING:
    import numpy as np


class Stopped(Exception):  # noqa: N818  (what was asked for, not a fault)
    """Blocks are left to compute, but the run is to stop."""


def stream(
    step: StreamingStep,
    setup: Inputs,
    inputs: Inputs,
    params: Any,
    partial: Partial,
    context: Context,
    *,
    in_flight: int,
    stopping: Callable[[], bool],
) -> dict[str, np.ndarray]:
    """Compute all blocks of a step and join them.

    Parameters
    ----------
    step, setup, inputs, params
        The step, what it set up, its inputs and parameters.
    partial
        Where finished blocks are kept until the whole is committed.
    context
        Told of the progress, in genes.
    in_flight
        How many blocks are computed at once; the result does not depend on it.
    stopping
        Whether no more blocks are to be begun.

    Returns
    -------
    dict
        The blocks' arrays by name, concatenated along genes in the order of the blocks.

    Raises
    ------
    Stopped
        Where blocks are left; those that were computed are saved.
    """
    import dask
    from dask.threaded import get

    blocks = step.blocks(setup, inputs, params)
    done = saved(blocks, partial)
    if done:
        context.log(f"{len(done)} of {len(blocks)} blocks were done before")
    total = sum(map(genes, blocks))
    finished = sum(map(genes, done))
    context.progress(finished, total, "genes")
    todo = [block for block in blocks if block not in done]
    if todo:
        shared = step.load(setup, params)

        def compute(block: Block) -> Mapping[str, np.ndarray] | None:
            if stopping():
                return None
            arrays = step.block(shared, inputs, params, block)
            save(block, arrays, partial)
            return arrays

        def report(key: str, result: Any, dsk: Any, state: Any, worker: Any) -> None:
            nonlocal finished
            del dsk, state, worker
            if result is not None:
                finished += genes(by_name[key])
                context.progress(finished, total, "genes")

        by_name = {name(block): block for block in todo}
        tasks = {key: (compute, block) for key, block in by_name.items()}
        with dask.config.set(scheduler="threads"), dask.callbacks.Callback(posttask=report):
            results = get(tasks, list(by_name), num_workers=in_flight)
        if any(arrays is None for arrays in results):
            raise Stopped
        done.update(zip(todo, results, strict=True))
    return _joined([done[block] for block in blocks])


def saved(blocks: Sequence[Block], partial: Partial) -> dict[Block, Mapping[str, np.ndarray]]:
    """Return the arrays of those blocks that were computed before."""
    found = {block: partial.load(name(block)) for block in blocks}
    return {block: arrays for block, arrays in found.items() if arrays is not None}


def save(block: Block, arrays: Mapping[str, np.ndarray], partial: Partial) -> None:
    """Keep a block's arrays for whoever goes on from here.

    They are no result yet, so that a failure is none either: another run may have committed the whole meanwhile
    and be removing the folder; and where the disk is full, the commit will say it.
    """
    with suppress(OSError, StoreError):
        partial.save(name(block), arrays)


def genes(block: Block) -> int:
    """Return how many genes a block has."""
    return block.stop - block.start


def name(block: Block) -> str:
    """Return the name under which a block is kept."""
    return f"{block.start:07d}-{block.stop:07d}"


def _joined(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    import numpy as np

    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]} if parts else {}

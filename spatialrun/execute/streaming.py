"""Streams gene blocks: computes those that are not there yet, several at a time, and saves each as it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from spatialrun.errors import StoreError
from spatialrun.steps.contract import Block, Context, Inputs, StreamingStep
from spatialrun.store.partial import Partial

if TYPE_CHECKING:
    import numpy as np


def stream(
    step: StreamingStep,
    setup: Inputs,
    inputs: Inputs,
    params: Any,
    partial: Partial,
    context: Context,
    *,
    in_flight: int,
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

    Returns
    -------
    dict
        The blocks' arrays by name, concatenated along genes in the order of the blocks.
    """
    import dask
    from dask.threaded import get

    blocks = step.blocks(setup, inputs, params)
    done: dict[Block, Mapping[str, np.ndarray]] = {}
    for block in blocks:
        if (saved := partial.load(_name(block))) is not None:
            done[block] = saved
    if done:
        context.log(f"{len(done)} of {len(blocks)} blocks were done before")
    total = sum(_genes(block) for block in blocks)
    finished = sum(map(_genes, done))
    context.progress(finished, total, "genes")
    todo = [block for block in blocks if block not in done]
    if todo:
        shared = step.load(setup, params)

        def compute(block: Block) -> Mapping[str, np.ndarray]:
            arrays = step.block(shared, inputs, params, block)
            # A convenience for the next run, not a result: another run may have committed the whole meanwhile
            # and be removing the folder; and where the disk is full, the commit will say it.
            with suppress(OSError, StoreError):
                partial.save(_name(block), arrays)
            return arrays

        def report(key: str, result: Any, dsk: Any, state: Any, worker: Any) -> None:
            nonlocal finished
            del result, dsk, state, worker
            finished += _genes(by_name[key])
            context.progress(finished, total, "genes")

        by_name = {_name(block): block for block in todo}
        tasks = {name: (compute, block) for name, block in by_name.items()}
        with dask.config.set(scheduler="threads"), dask.callbacks.Callback(posttask=report):
            results = get(tasks, list(by_name), num_workers=in_flight)
        done.update(zip(todo, results, strict=True))
    return _joined([done[block] for block in blocks])


def _joined(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    import numpy as np

    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


def _genes(block: Block) -> int:
    return block.stop - block.start


def _name(block: Block) -> str:
    return f"{block.start:07d}-{block.stop:07d}"

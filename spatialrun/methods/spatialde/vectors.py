"""Vector instructions for the loops over grids: a window of 16 nodes, or 8 columns of values at a node.

Numba cannot know that a grid and the weights spread on it never overlap, and leaves such loops scalar: four to
eight times slower. These are the same few operations written as vector code, in one fixed order of rounding.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LANES = 8  # columns of values that are spread or gathered at once
WINDOW = 16  # nodes of one axis that a gene's count is spread over
REACHED = 13  # nodes of one axis that a node is coupled to
CHAINS = 3  # sums that do not wait for each other
QUARTER = 4  # doubles of the vectors that a window is made of: longer ones cross cache lines more often

DOUBLE = ir.DoubleType()


def _at(context: Any, builder: Any, array_type: Any, array: Any, index: Any, count: int) -> Any:
    """Pointer to ``count`` doubles of a flat array from ``index`` on."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), ir.VectorType(DOUBLE, count).as_pointer())


def _element(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    return builder.load(builder.gep(context.make_array(array_type)(context, builder, array).data, [index]))


def _load(builder: Any, pointer: Any) -> Any:
    value = builder.load(pointer)
    value.align = 8
    return value


def _store(builder: Any, value: Any, pointer: Any) -> None:
    builder.store(value, pointer).align = 8


def _all(builder: Any, value: Any, count: int) -> Any:
    """A vector of ``count`` times ``value``."""
    vector = ir.VectorType(DOUBLE, count)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), mask)


def _fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """A b + c, rounded once."""
    signature = ir.FunctionType(a.type, [a.type] * 3)
    name = f"llvm.fma.v{a.type.count}f64"
    return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), [a, b, c])


def _plus(builder: Any, index: Any, offset: int) -> Any:
    return builder.add(index, ir.Constant(index.type, offset))


@intrinsic  # type: ignore[untyped-decorator]
def add_scaled(typing: Any, into: Any, i: Any, rows: Any, j: Any, weight: Any) -> Any:  # noqa: ARG001
    """into[i : i + WINDOW] += weight rows[j : j + WINDOW], flat arrays."""
    signature = types.void(into, types.intp, rows, types.intp, types.float64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        into, i, rows, j, weight = arguments
        scale = _all(builder, weight, QUARTER)
        for offset in range(0, WINDOW, QUARTER):
            target = _at(context, builder, signature.args[0], into, _plus(builder, i, offset), QUARTER)
            source = _at(context, builder, signature.args[2], rows, _plus(builder, j, offset), QUARTER)
            total = _fused(builder, _load(builder, source), scale, _load(builder, target))
            _store(builder, total, target)
        return context.get_dummy_value()

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def spread_taps(typing: Any, grid: Any, at: Any, values: Any, i: Any, taps: Any, j: Any, weight: Any) -> Any:  # noqa: ARG001
    """grid[at + LANES q + c] += weight taps[j + q] values[i + c] for q, c < LANES, flat arrays."""
    signature = types.void(grid, types.intp, values, types.intp, taps, types.intp, types.float64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        grid, at, values, i, taps, j, weight = arguments
        value = _load(builder, _at(context, builder, signature.args[2], values, i, LANES))
        value = builder.fmul(value, _all(builder, weight, LANES))
        for q in range(LANES):
            node = _at(context, builder, signature.args[0], grid, _plus(builder, at, LANES * q), LANES)
            tap = _element(context, builder, signature.args[4], taps, _plus(builder, j, q))
            _store(builder, _fused(builder, _all(builder, tap, LANES), value, _load(builder, node)), node)
        return context.get_dummy_value()

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def gather_taps(typing: Any, grid: Any, at: Any, values: Any, i: Any, taps: Any, j: Any, weight: Any) -> Any:  # noqa: ARG001
    """values[i + c] += weight Σ_q taps[j + q] grid[at + LANES q + c] for q, c < LANES, flat arrays."""
    signature = types.void(grid, types.intp, values, types.intp, taps, types.intp, types.float64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        grid, at, values, i, taps, j, weight = arguments
        sums: list[Any] = []
        for q in range(LANES):
            node = _at(context, builder, signature.args[0], grid, _plus(builder, at, LANES * q), LANES)
            tap = _all(
                builder, _element(context, builder, signature.args[4], taps, _plus(builder, j, q)), LANES
            )
            if q < LANES // 2:
                sums.append(builder.fmul(tap, _load(builder, node)))
            else:
                sums[q - LANES // 2] = _fused(builder, tap, _load(builder, node), sums[q - LANES // 2])
        total = builder.fadd(builder.fadd(sums[0], sums[1]), builder.fadd(sums[2], sums[3]))
        value = _at(context, builder, signature.args[2], values, i, LANES)
        _store(builder, _fused(builder, total, _all(builder, weight, LANES), _load(builder, value)), value)
        return context.get_dummy_value()

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def gather_products(
    typing: Any, a: Any, i: Any, b: Any, j: Any, taps: Any, k: Any, into: Any, m: Any  # noqa: ARG001
) -> Any:  # fmt: skip
    """into[m + c] += Σ_q taps[k + q] a[i + LANES q + c] b[j + LANES q + c], q < REACHED and c < LANES, flat."""
    signature = types.void(a, types.intp, b, types.intp, taps, types.intp, into, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, i, b, j, taps, k, into, m = arguments
        kinds = signature.args
        sums: list[Any] = []
        for q in range(REACHED):
            first = _load(builder, _at(context, builder, kinds[0], a, _plus(builder, i, LANES * q), LANES))
            second = _load(builder, _at(context, builder, kinds[2], b, _plus(builder, j, LANES * q), LANES))
            tap = _element(context, builder, kinds[4], taps, _plus(builder, k, q))
            product = builder.fmul(first, _all(builder, tap, LANES))
            if q < CHAINS:
                sums.append(builder.fmul(product, second))
            else:
                sums[q % CHAINS] = _fused(builder, product, second, sums[q % CHAINS])
        target = _at(context, builder, kinds[6], into, m, LANES)
        total = _load(builder, target)
        for part in sums:
            total = builder.fadd(total, part)
        _store(builder, total, target)
        return context.get_dummy_value()

    return signature, generate

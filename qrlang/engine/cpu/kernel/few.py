"""A matrix times the rows of a few sequences. Where they fill a quarter of a vector at most, four
of a row's neighbours lie beside each other: a multiply-add does four columns of the matrix."""

from __future__ import annotations

from collections.abc import Callable

from qrlang.engine.cpu.llvm.asm import Fn, Format, V

COLUMNS = 4
BLOCK = 12

Finish = Callable[[V, int, V], None]  # of the first of a block, which of them, its numbers


def most(fmt: Format) -> int:
    """Sequences, at most; 0 where vectors are too short for this."""
    return fmt.lanes // COLUMNS if fmt.lanes >= 2 * COLUMNS else 0


def times(fn: Fn, w: V, many: int, width: int, x: V, scratch: V, finish: Finish) -> None:
    """`finish` gets each row of W x. `scratch` is for a row of numbers for every four of x."""
    size, row, few = fn.fmt.size, fn.fmt.row, most(fn.fmt)
    whole = width // COLUMNS
    with fn.loop(0, whole) as loop:
        near = fn.at(x, fn.imul(loop.i, COLUMNS * row))
        fn.store(_beside(fn, near), scratch, fn.imul(loop.i, row))
    # The columns that are left: each in the first quarter, and nothing in the others.
    first = fn.ints([int(j < few) for j in range(fn.fmt.lanes)], "i1")
    rest = [
        fn.select(first, fn.load(x, i * row), fn.const(0.0)) for i in range(whole * COLUMNS, width)
    ]

    def block(begin: V, k: int) -> None:
        base = fn.at(w, fn.imul(begin, width * size))
        totals = [fn.const(0.0)] * k
        if whole:
            with fn.loop(0, whole, 1, totals) as loop:
                v = fn.load(scratch, fn.imul(loop.i, row))
                p = fn.at(base, fn.imul(loop.i, COLUMNS * size))
                loop.next = [
                    fn.fma(_four(fn, p, j * width * size), v, loop.values[j]) for j in range(k)
                ]
            totals = loop.values
        for j, total in enumerate(totals):
            for i, v in enumerate(rest, whole * COLUMNS):
                total = fn.fma(fn.broadcast(base, (j * width + i) * size), v, total)
            for turn in (2 * few, few):
                lanes = [(a + turn) % fn.fmt.lanes for a in range(fn.fmt.lanes)]
                total = fn.add(total, fn.shuffle(total, None, lanes))
            finish(begin, j, total)

    blocks(fn, many, block)


def transposed_times(fn: Fn, w: V, many: int, width: int, d: V, finish: Finish) -> None:
    """The same with the transpose of W, for as many of its columns as are a multiple of four."""
    size, row, few = fn.fmt.size, fn.fmt.row, most(fn.fmt)

    def block(begin: V, k: int) -> None:
        base = fn.at(w, fn.imul(begin, COLUMNS * size))
        with fn.loop(0, many, 1, [fn.const(0.0)] * k) as loop:
            near = fn.load(d, fn.imul(loop.i, row), f"<{few} x {fn.f}>")
            v = fn.shuffle(near, None, [a % few for a in range(fn.fmt.lanes)])
            p = fn.at(base, fn.imul(loop.i, width * size))
            loop.next = [
                fn.fma(_four(fn, p, j * COLUMNS * size), v, loop.values[j]) for j in range(k)
            ]
        first = fn.imul(begin, COLUMNS)
        for j, total in enumerate(loop.values):
            for c in range(COLUMNS):
                lanes = [c * few + a % few for a in range(fn.fmt.lanes)]
                finish(first, j * COLUMNS + c, fn.shuffle(total, None, lanes))

    blocks(fn, width // COLUMNS, block)


def _beside(fn: Fn, rows: V) -> V:
    few = most(fn.fmt)
    parts = [fn.load(rows, c * fn.fmt.row, f"<{few} x {fn.f}>") for c in range(COLUMNS)]
    while len(parts) > 1:
        n = few * COLUMNS // len(parts)
        pairs = zip(parts[::2], parts[1::2], strict=True)
        parts = [fn.shuffle(a, b, range(2 * n)) for a, b in pairs]
    return parts[0]


def _four(fn: Fn, base: V, offset: int) -> V:
    """Four numbers, each once for every sequence."""
    few = most(fn.fmt)
    near = fn.load(base, offset, f"<{COLUMNS} x {fn.f}>")
    return fn.shuffle(near, None, [a // few for a in range(fn.fmt.lanes)])


def blocks(fn: Fn, count: int, body: Callable[[V, int], None], block: int = BLOCK) -> None:
    """body(first, how many) over a count, most of it in a loop."""
    whole = count // block
    if whole:
        with fn.loop(0, whole * block, block) as loop:
            body(loop.i, block)
    if count % block:
        body(fn.i64(whole * block), count % block)

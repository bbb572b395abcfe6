"""What fold, prune, carry, split and group make of programs."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from qrlang.backends.reference import run
from qrlang.ir.program import (
    Alloc,
    Angle,
    Channel,
    Concat,
    Const,
    Diagonal,
    Element,
    Expect,
    Free,
    Gate,
    Gather,
    If,
    Initial,
    Linear,
    Loop,
    LoopItem,
    Measure,
    Op,
    Output,
    PauliString,
    Permutation,
    Pointwise,
    Program,
    Reduce,
    Register,
    Reset,
    Reshape,
    Run,
    Term,
    Unitary,
    Value,
    Weight,
)
from qrlang.ir.types import Type, real, seq
from qrlang.ir.verify import verify
from qrlang.ir.walk import walk
from qrlang.passes import GATES, PASSES, SIMULATOR, Pass, PassError, run_passes, size
from qrlang.passes.evaluate import FUNCTIONS, evaluate

X = Value(0, real(6), "x")
ROWS, ROW = Value(1, seq(real(2)), "rows"), Value(2, real(2), "row")


def at(value: Value, index: int, factor: float = 1.0) -> Angle:
    return Angle(0.0, (Term(factor, value, index),))


def cx(control: int, target: int) -> Gate:
    return Gate("x", (target,), controls=(control,))


def read(value: Value, *words: PauliString) -> Expect:
    return Expect(value, tuple(((1.0, word),) for word in words))


def z(*qubits: int) -> tuple[PauliString, ...]:
    return tuple(((q, "Z"),) for q in qubits)


def program(
    n: int, *body: Op, outputs: tuple[Value, ...], weights: tuple[Weight, ...] = ()
) -> Program:
    built = Program(
        "p",
        inputs=(X, ROWS),
        weights=weights,
        registers=(Register("q", 0, n),),
        body=body,
        outputs=tuple(Output(f"y{i}" if i else "", v) for i, v in enumerate(outputs)),
    )
    assert verify(built) == []
    return built


def same(before: Program, after: Program) -> None:
    assert verify(after) == []
    rng = np.random.default_rng(1)
    inputs = {"x": rng.normal(size=6), "rows": rng.normal(size=(4, 2))}
    expected, found = run(before, inputs).outputs, run(after, inputs).outputs
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-10)


def ops(changed: Program, kind: type) -> list[Op]:
    return [op for op in walk(changed.body) if isinstance(op, kind)]


def elements(body: tuple[Op, ...]) -> list[Element]:
    return [e for op in body if isinstance(op, Unitary) for e in op.elements]


# --- fold ---------------------------------------------------------------------------------------


def test_fold_constants_into_angles() -> None:
    a, b, c = Value(10, real(2)), Value(11, real(2)), Value(12, real(1))
    out = Value(20, real(1))
    before = program(
        1,
        Const(a, (0.5, 2.0)),
        Pointwise(b, "sin", (a,)),
        Gather(c, b, (1,)),
        Alloc((0,)),
        Unitary((Gate("ry", (0,), (at(c, 0, 2.0),)),)),
        read(out, *z(0)),
        outputs=(out,),
    )
    after = run_passes(before, ("fold",))
    (gate,) = elements(after.body)
    assert isinstance(gate, Gate)
    assert gate.angles == (Angle(2 * math.sin(2.0)),)
    assert len(after.body) == 3
    same(before, after)


def test_fold_takes_angles_from_where_they_are_computed() -> None:
    a, b, c, d = (
        Value(10, real(2)),
        Value(11, real(8)),
        Value(12, real(4, 2)),
        Value(13, real(4, 2)),
    )
    two = Value(14, real())
    out = Value(20, real(1))
    before = program(
        1,
        Gather(a, X, (5, 3)),
        Concat(b, (a, X)),
        Reshape(c, b),
        Const(two, (2.0,)),
        Pointwise(d, "mul", (c, two)),
        Alloc((0,)),
        Unitary((Gate("ry", (0,), (at(d, 1),)), Gate("rx", (0,), (at(d, 4),)))),
        read(out, *z(0)),
        outputs=(out,),
    )
    after = run_passes(before, ("fold",))
    assert [e.angles for e in elements(after.body)] == [(at(X, 3, 2.0),), (at(X, 2, 2.0),)]  # type: ignore[union-attr]
    assert [type(op).__name__ for op in after.body] == ["Alloc", "Unitary", "Expect"]
    same(before, after)


def test_fold_shares_what_is_the_same() -> None:
    a, b, c, d = (Value(10 + i, real(6)) for i in range(4))
    r, s = Value(20, real(1)), Value(21, real(1))
    before = program(
        1,
        Alloc((0,)),
        Pointwise(a, "sin", (X,)),
        Pointwise(b, "sin", (X,)),
        Pointwise(c, "tanh", (a,)),
        Pointwise(d, "tanh", (b,)),
        read(r, *z(0)),
        read(s, *z(0)),
        outputs=(c, d, r, s),
    )
    after = run_passes(before, ("fold",))
    assert [type(op).__name__ for op in after.body] == ["Alloc", "Pointwise", "Pointwise", "Expect"]
    same(before, after)
    # Not across a gate: the readouts differ there.
    gate = Unitary((Gate("ry", (0,), (at(X, 0),)),))
    between = replace(before, body=(*before.body[:-1], gate, before.body[-1]))
    assert len(ops(run_passes(between, ("fold",)), Expect)) == 2


def test_fold_drops_what_nobody_uses_but_no_readout() -> None:
    a, r = Value(10, real(6)), Value(20, real(1))
    before = program(1, Alloc((0,)), Pointwise(a, "sin", (X,)), read(r, *z(0)), outputs=(X,))
    after = run_passes(before, ("fold",))
    assert [type(op).__name__ for op in after.body] == ["Alloc", "Expect"]


@pytest.mark.parametrize("fn", FUNCTIONS)
def test_folded_functions_are_the_interpreters(fn: str) -> None:
    from qrlang.backends.reference.classical import FUNCTIONS as INTERPRETED
    from qrlang.ir.functions import FUNCTIONS as TABLE

    assert set(FUNCTIONS) == set(INTERPRETED) == set(TABLE)
    samples = (-40.0, -2.0, -1.0, -0.3, 0.0, 0.5, 1.0, 3.0, 30.0)
    count = TABLE[fn].args
    for i in range(len(samples)):
        args = tuple((samples[(i + 2 * k) % len(samples)],) for k in range(count))
        op = Pointwise(Value(9, real(1)), fn, tuple(Value(k, real(1)) for k in range(count)))
        with np.errstate(all="ignore"):
            expected = np.asarray(INTERPRETED[fn](*(np.array(a) for a in args)), float)
        found = evaluate(op, args, real(1))
        if found is None:
            assert not np.isfinite(expected).all()
        else:
            np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_folded_reductions_are_the_interpreters() -> None:
    from qrlang.backends.reference.classical import compute

    source = Value(0, real(2, 3))
    data = (0.5, -1.0, 2.0, 4.0, 0.25, -3.0)
    for fn in ("sum", "mean", "max", "min", "norm", "prod"):
        for last_axis in (False, True):
            op = Reduce(Value(1, real(2) if last_axis else real()), fn, source, last_axis)
            expected = compute(op, {0: np.array(data).reshape(2, 3)}, {})
            found = evaluate(op, [data], op.out.type)
            np.testing.assert_allclose(found, np.ravel(expected))


# --- prune --------------------------------------------------------------------------------------


def test_prune_outside_the_cone() -> None:
    out = Value(20, real(1))
    gates = (
        Gate("rz", (0,), (at(X, 0),)),  # only a phase on |0⟩
        Gate("ry", (0,), (at(X, 1),)),
        cx(0, 1),
        Gate("ry", (2,), (at(X, 2),)),  # never meets qubit 0
        Gate("rz", (0,), (at(X, 3),)),  # commutes with what is read
        Gate("ry", (1,), (at(X, 4),)),  # after the last gate towards qubit 0
    )
    before = program(3, Alloc((0, 1, 2)), Unitary(gates), read(out, *z(0)), outputs=(out,))
    after = run_passes(before, ("prune",))
    assert elements(after.body) == [gates[1]]
    same(before, after)


def test_prune_after_the_last_readout() -> None:
    out, bit = Value(20, real(1)), Value(21, Type("bit"))
    before = program(
        1,
        Alloc((0,)),
        Unitary((Gate("ry", (0,), (at(X, 0),)),)),
        read(out, *z(0)),
        Unitary((Gate("h", (0,)),)),
        Channel("bit_flip", (0,), (Angle(0.5),)),
        Measure(bit, (0,)),
        If(bit, 0, (Unitary((Gate("x", (0,)),)),)),
        Reset((0,)),
        outputs=(out,),
    )
    after = run_passes(before, ("prune",))
    assert [type(op).__name__ for op in after.body] == ["Alloc", "Unitary", "Expect"]


def test_prune_readouts_that_reach_nothing() -> None:
    seen, unseen, idle = Value(20, real(1)), Value(21, real(2)), Value(22, real(1))
    before = program(
        2,
        Alloc((0, 1)),
        Unitary((Gate("ry", (0,), (at(X, 0),)), Gate("ry", (1,), (at(X, 1),)))),
        read(unseen, *z(0, 1)),
        Linear(idle, unseen, "w"),
        read(seen, *z(0)),
        outputs=(seen,),
        weights=(Weight("w", (1, 2), Initial("constant", (0.0,))),),
    )
    after = run_passes(before, ("prune",))
    assert len(ops(after, Expect)) == 1
    assert len(elements(after.body)) == 1
    assert after.weights == before.weights


def test_prune_keeps_what_later_steps_see() -> None:
    out = Value(20, real(1))
    body: tuple[Op, ...] = (
        Unitary((Gate("ry", (0,), (at(ROW, 0),)), Gate("rz", (0,), (at(ROW, 1),)))),
    )
    before = program(
        1,
        Alloc((0,)),
        Loop("step", (LoopItem(ROWS, ROW),), (), body),
        read(out, *z(0)),
        outputs=(out,),
    )
    after = run_passes(before, ("prune",))
    assert after.body == before.body


def test_prune_leaves_a_circuit_by_itself_alone() -> None:
    before = program(1, Alloc((0,)), Unitary((Gate("h", (0,)),)), outputs=())
    assert run_passes(before, ("prune",)) == before


# --- carry --------------------------------------------------------------------------------------


def recurrence(
    *segment: Element, words: tuple[PauliString, ...], after: tuple[Op, ...] = ()
) -> Program:
    seen, out = Value(19, real(len(words))), Value(20, real(len(words)))
    body: tuple[Op, ...] = (read(seen, *words), Unitary(segment))
    loop = Loop("step", (LoopItem(ROWS, ROW),), (), body)
    start = Unitary((Gate("h", (0,)), Gate("ry", (1,), (at(X, 5),))))
    return program(2, Alloc((0, 1)), start, loop, *after, read(out, *words), outputs=(out,))


def turns(name: str, factor: float) -> list[Element]:
    return [Gate(name, (q,), (at(ROW, q, factor),)) for q in range(2)]


STEP = (*turns("rz", 0.5), *turns("ry", 1.0), *turns("rz", 2.0), cx(0, 1))


def carried(before: Program) -> Program:
    fused = run_passes(before, ("permute", "fuse"))
    after = run_passes(fused, ("carry",), verify=True)
    same(before, fused)
    same(before, after)
    return after


def test_carry_the_last_diagonal_into_the_next_step() -> None:
    before = recurrence(*STEP, words=z(0, 1))
    after = carried(before)
    (loop,) = ops(after, Loop)
    assert isinstance(loop, Loop)
    assert len(loop.carries) == 1
    kinds = [type(e).__name__ for e in elements(loop.body)]
    assert kinds == ["Diagonal", "Gate", "Gate", "Gate"]
    # Z is read at the end, and commutes: nothing has to be made up for after the loop.
    assert [type(op).__name__ for op in after.body[-2:]] == ["Loop", "Expect"]
    assert size(after)[0] < size(run_passes(before, ("permute", "fuse")))[0]


def test_carry_makes_up_for_it_when_something_can_tell() -> None:
    later = Unitary((Gate("h", (0,)), Gate("h", (1,))))
    after = carried(recurrence(*STEP, words=z(0, 1), after=(later,)))
    assert len(ops(after, Loop)[0].carries) == 1  # type: ignore[attr-defined]
    diagonals = [e for e in elements(after.body) if isinstance(e, Diagonal)]
    assert len(diagonals) == 1


def test_carry_needs_readouts_that_commute() -> None:
    after = carried(recurrence(*STEP, words=(((0, "X"),), ((1, "Z"),))))
    assert ops(after, Loop)[0].carries == ()  # type: ignore[attr-defined]


def test_carry_goes_through_extra_steps_and_several_loops() -> None:
    first = recurrence(*STEP, words=z(0, 1))
    loop = next(op for op in first.body if isinstance(op, Loop))
    seen = Value(30, real(2))
    row = Value(31, real(2))

    def moved(element: Element) -> Element:
        assert isinstance(element, Gate)
        angles = tuple(
            Angle(a.constant, tuple(Term(t.coefficient, row, t.index) for t in a.terms))
            for a in element.angles
        )
        return replace(element, angles=angles)

    second = Loop(
        "again",
        (LoopItem(ROWS, row),),
        (),
        (Unitary(tuple(map(moved, STEP))), read(seen, *z(0, 1))),
    )
    body: list[Op] = []
    for op in first.body:
        body += [replace(loop, extra=2), second] if op is loop else [op]
    after = carried(replace(first, body=tuple(body)))
    assert [len(op.carries) for op in ops(after, Loop)] == [1, 1]  # type: ignore[attr-defined]


def test_carry_angles_that_are_sums_of_several_values() -> None:
    mixed = tuple(
        Gate("rz", (q,), (Angle(0.3, (Term(2.0, ROW, q), Term(-1.0, X, 1 - q))),)) for q in range(2)
    )
    before = recurrence(*turns("rz", 0.5), *turns("ry", 1.0), *mixed, cx(0, 1), words=z(0, 1))
    assert len(ops(carried(before), Loop)[0].carries) == 1  # type: ignore[attr-defined]


def test_carry_stops_at_a_reset() -> None:
    seen, out = Value(19, real(2)), Value(20, real(2))
    body: tuple[Op, ...] = (Reset((0,)), Unitary(STEP), read(seen, *z(0, 1)))
    before = program(
        2,
        Alloc((0, 1)),
        Loop("step", (LoopItem(ROWS, ROW),), (), body),
        read(out, *z(0, 1)),
        outputs=(out,),
    )
    carried(before)


# --- split and group ----------------------------------------------------------------------------


def test_split_qubits_that_never_meet() -> None:
    out = Value(20, real(4))
    gates = (
        *(Gate("ry", (q,), (at(X, q),)) for q in range(4)),
        cx(0, 2),
        cx(3, 1),
        Gate("rz", (0,), (at(X, 4),)),
    )
    before = program(
        4, Alloc((0, 1, 2, 3)), Unitary(gates), read(out, *z(0, 1, 2, 3)), outputs=(out,)
    )
    after = run_passes(before, ("split",), verify=True)
    assert [(r.name, r.start, r.size, r.space) for r in after.registers] == [
        ("q_0", 0, 1, 0),
        ("q_1", 1, 1, 1),
        ("q_2", 2, 1, 0),
        ("q_3", 3, 1, 1),
    ]
    same(before, after)


def test_split_cuts_fused_elements() -> None:
    out = Value(20, real(4))
    segment = (
        Diagonal((((0, 1), at(X, 0)), ((2,), at(X, 1)), ((2, 3), at(X, 2)))),
        Permutation((0, 1, 2, 3), (0b0001, 0b0011, 0b1000, 0b0100), 0b0101),
        Run(0, (Gate("h", (0,)), Gate("ry", (0,), (at(X, 3),)))),
    )
    start = Unitary(tuple(Gate("ry", (q,), (at(X, q),)) for q in range(4)))
    before = program(
        4, Alloc((0, 1, 2, 3)), start, Unitary(segment), read(out, *z(0, 1, 2, 3)), outputs=(out,)
    )
    after = run_passes(before, ("split",), verify=True)
    assert [(r.start, r.size) for r in after.registers] == [(0, 2), (2, 2)]
    same(before, after)


def test_split_keeps_what_a_bit_or_a_product_connects() -> None:
    out, bit = Value(20, real(1)), Value(21, Type("bit"))
    start = Unitary((Gate("ry", (0,), (at(X, 0),)), Gate("ry", (1,), (at(X, 1),))))
    product = program(2, Alloc((0, 1)), start, read(out, ((0, "Z"), (1, "Z"))), outputs=(out,))
    assert run_passes(product, ("split",)) == product
    steered = program(
        2,
        Alloc((0, 1)),
        start,
        Measure(bit, (0,)),
        If(bit, 0, (Unitary((Gate("x", (1,)),)),)),
        read(out, ((1, "Z"),)),
        outputs=(out,),
    )
    assert run_passes(steered, ("split",)).registers == steered.registers


def test_group() -> None:
    out = Value(20, real(4))
    words: tuple[PauliString, ...] = (((0, "X"),), ((0, "Z"),), ((1, "Z"),), ((0, "X"), (1, "X")))
    before = program(2, Alloc((0, 1)), read(out, *words), outputs=(out,))
    (expect,) = ops(run_passes(before, ("group",), verify=True), Expect)
    assert isinstance(expect, Expect)
    assert len(expect.settings) == 2
    assert sorted(i for s in expect.settings for i in s) == [0, 1, 2, 3]


# --- pipelines ----------------------------------------------------------------------------------


def qrnn(n: int, layers: int, hidden: int = 64) -> Program:
    count = layers * n * 3
    seen, joined, h, t, theta, last, y = (
        Value(30 + i, real(k)) for i, k in enumerate((n, 2 + n, hidden, hidden, count, n, 10))
    )
    gates: list[Element] = []
    for layer in range(layers):
        for q in range(n):
            for k, name in enumerate(("rz", "ry", "rz")):
                gates.append(Gate(name, (q,), (at(theta, (layer * n + q) * 3 + k),)))
        gates += [cx(q, (q + 1) % n) for q in range(n)]
    step: tuple[Op, ...] = (
        read(seen, *z(*range(n))),
        Concat(joined, (ROW, seen)),
        Linear(h, joined, "w1", "b1"),
        Pointwise(t, "tanh", (h,)),
        Linear(theta, t, "w2", "b2"),
        Unitary(tuple(gates)),
    )
    shapes = {
        "w1": (hidden, 2 + n),
        "b1": (hidden,),
        "w2": (count, hidden),
        "b2": (count,),
        "w": (10, n),
    }
    return program(
        n,
        Alloc(tuple(range(n))),
        Loop("step", (LoopItem(ROWS, ROW),), (), step),
        read(last, *z(*range(n))),
        Linear(y, last, "w"),
        outputs=(y,),
        weights=tuple(Weight(k, s, Initial("uniform", (-1.0, 1.0))) for k, s in shapes.items()),
    )


@pytest.mark.parametrize("n,layers", [(3, 1), (4, 2), (5, 3)])
def test_a_recurrent_network(n: int, layers: int) -> None:
    before = qrnn(n, layers, hidden=4)
    after = run_passes(before, SIMULATOR, verify=True)
    same(before, after)
    loop = ops(after, Loop)[0]
    assert isinstance(loop, Loop)
    # A layer: one diagonal, n ry, one map; the seam between steps is gone as well.
    assert len(elements(loop.body)) == layers * (n + 2)
    same(before, run_passes(before, GATES, verify=True))
    assert all(
        isinstance(e, Gate) for op in ops(run_passes(before, GATES), Unitary) for e in op.elements
    )  # type: ignore[attr-defined]


def test_compiling_is_quick() -> None:
    before = qrnn(14, 4)
    run_passes(before, SIMULATOR)
    start = time.process_time()
    run_passes(before, SIMULATOR)
    assert time.process_time() - start < 0.5  # 0.02 s alone


def test_the_table_of_passes() -> None:
    assert set(GATES) | set(SIMULATOR) <= set(PASSES)
    for name, one in PASSES.items():
        assert one.name == name
        assert one.doc.endswith(".")


def test_each_result_is_shown() -> None:
    seen: list[tuple[str, Program]] = []

    def after(one: Pass, result: Program) -> None:
        seen.append((one.name, result))

    before = qrnn(3, 1, hidden=2)
    result = run_passes(before, GATES, after)
    assert tuple(name for name, _ in seen) == GATES
    assert seen[-1][1] == result


def test_a_broken_pass_is_named() -> None:
    class Breaks:
        name = "breaks"
        doc = "Frees what is gone."

        def run(self, program: Program) -> Program:
            return replace(program, body=(*program.body, Free((0,)), Free((0,))))

    with pytest.raises(PassError, match="breaks"):
        run_passes(qrnn(3, 1, hidden=2), (Breaks(),), verify=True)


def test_each_space_carries_for_itself() -> None:
    seen, out = Value(19, real(4)), Value(20, real(4))

    def on(first: int) -> list[Gate]:
        return [
            Gate(name, (first + q,), (at(ROW, q, factor),))
            for name, factor in (("rz", 0.5), ("ry", 1.0), ("rz", 2.0))
            for q in range(2)
        ]

    loop = Loop(
        "step", (LoopItem(ROWS, ROW),), (), (read(seen, *z(0, 1, 2, 3)), Unitary((*on(0), *on(2))))
    )
    before = program(4, Alloc((0, 1, 2, 3)), loop, read(out, *z(0, 1, 2, 3)), outputs=(out,))
    before = replace(before, registers=(Register("a", 0, 2, 0), Register("b", 2, 2, 1)))
    after = carried(before)
    assert len(ops(after, Loop)[0].carries) == 2  # type: ignore[attr-defined]

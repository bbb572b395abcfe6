"""Registers declared and moved; measured, reset, post-selected and prepared."""

from __future__ import annotations

from qrlang.check.arithmetic import as_tensor, numeric, of_value, want
from qrlang.check.calls import qubit_name, wanting
from qrlang.check.constants import is_whole
from qrlang.check.core import EXPR, MAX_QUBITS, STMT, Elaborator, Rejected
from qrlang.check.expressions import integer
from qrlang.check.gates import operands_of
from qrlang.check.modifiers import put
from qrlang.check.values import (
    POISON,
    Mixed,
    Pending,
    Poison,
    Qubits,
    Register,
    Tensor,
    describe,
    release,
    together,
)
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import plural
from qrlang.ir import program as ir
from qrlang.ir.types import Type, real
from qrlang.syntax import ast


def measure(e: Elaborator, node: ast.Measure) -> object:
    thing = together(e.eval(node.target))
    if isinstance(thing, Poison) or not _may_measure(e, node):
        return POISON
    if not isinstance(thing, Qubits):
        return e.error(
            "E0208",
            node.target,
            f"expected qubits to measure, found {describe(thing)}",
            help="`measure q[0]`",
        )
    if len(set(thing.qubits)) != len(thing.qubits):
        return e.error("E0501", node, "the same qubit is measured twice")
    # One qubit by index is a bit; a register or a slice is a bit for each qubit.
    out = e.builder.value(Type("bit", () if thing.single else (len(thing.qubits),)))
    e.measures = True
    put(e, ir.Measure(out, thing.qubits, e.place_of(node)), thing.qubits, node)
    return of_value(out)


def _may_measure(e: Elaborator, node: ast.Node) -> bool:
    if e.region in ("model", "recurrent", "step", "circuit"):
        return True
    if e.region == "ansatz":
        e.error(
            "E0506",
            node,
            "`measure` can't stand in an ansatz: an ansatz is made of gates",
            help="measure in the model's step, or in a circuit",
        )
    else:
        e.error("E0601", node, "`measure` can't stand here")
    return False


def discard(e: Elaborator, node: ast.Discard) -> None:
    e.eval(node.value)


def reset(e: Elaborator, node: ast.Reset) -> None:
    operands = operands_of(e, node.operands)
    if operands is None:
        return
    qubits = tuple(q for o in operands for q in o.qubits)
    if len(set(qubits)) != len(qubits):
        e.error("E0501", node, "the same qubit is reset twice")
        return
    before = e.capture
    put(e, ir.Reset(qubits, e.place_of(node)), (), node)
    if before is None and not e.in_if:
        e.fresh.update(qubits)


def postselect(e: Elaborator, node: ast.Postselect) -> None:
    thing = together(e.eval(node.target))
    outcome = e.eval(node.outcome)
    if isinstance(thing, Poison) or isinstance(outcome, Poison):
        return
    if e.region not in ("model", "recurrent", "step", "circuit", "ansatz") or e.in_if:
        e.error("E0609", node, "`postselect` can't stand inside `if` on a measured bit")
        return
    if not isinstance(thing, Qubits):
        e.error("E0208", node.target, f"expected qubits, found {describe(thing)}")
        return
    if len(set(thing.qubits)) != len(thing.qubits):
        e.error("E0501", node, "the same qubit is selected twice")
        return
    k = len(thing.qubits)
    bits: tuple[int, ...]
    if isinstance(outcome, tuple) and len(outcome) == k and all(b in (0, 1) for b in outcome):
        bits = tuple(int(b) for b in outcome)
    elif is_whole(outcome) and 0 <= outcome < 2**k:
        bits = tuple((outcome >> (k - 1 - i)) & 1 for i in range(k))
    elif isinstance(outcome, (Tensor, Pending)):
        e.error(
            "E0303",
            node.outcome,
            "the outcome must be known at compile time, found " + describe(outcome),
        )
        return
    else:
        shown = "0 or 1" if k == 1 else f"0 to {2**k - 1}, or a list of {k} bits"
        e.error(
            "E0306",
            node.outcome,
            f"the outcome of {plural(k, 'qubit')} is {shown}, found " + describe(outcome),
        )
        return
    out = e.builder.value(real())
    put(e, ir.Postselect(out, thing.qubits, bits, e.place_of(node)), thing.qubits, node)


def prepare(e: Elaborator, node: ast.Prepare) -> None:
    operands = operands_of(e, node.operands)
    if operands is None:
        e.eval(node.value)
        return
    qubits = tuple(q for o in operands for q in o.qubits)
    if len(set(qubits)) != len(qubits):
        e.error("E0501", node, "the same qubit is prepared twice")
        return

    k = len(qubits)
    if k > 24:
        e.error("E0307", node, f"a state of {k} qubits has more than 2^24 amplitudes")
        return
    thing = wanting(e, node.value, 2**k)
    if isinstance(thing, Poison):
        return
    if isinstance(thing, Pending):
        want(e, thing, (2**k,), node)
        return
    if isinstance(thing, Tensor) and thing.type.kind == "state":
        if thing.type.size != k or thing.type.seq:
            e.error("E0410", node, f"{thing.type} needs {thing.type.size} qubits, found {k}")
            return
        assert thing.value is not None
        amplitudes = thing.value
    else:
        t = as_tensor(e, thing, node.value, "amplitudes")
        if not isinstance(t, Tensor) or not numeric(e, t, node.value):
            return
        count = t.type.count
        if count != 2**k:
            power = count > 0 and count & (count - 1) == 0
            e.error(
                "E0410",
                node.value,
                f"{plural(k, 'qubit')} {'has' if k == 1 else 'have'} {2**k} amplitudes, "
                f"found {count} numbers",
                help=f"use {count.bit_length() - 1} qubits"
                if power
                else "their number is a power of two: pad with zeros, `concat(v, zeros(…))`",
            )
            return
        if t.value is None and all(not a.terms and not a.constant for a in t.elements):
            e.error("E0410", node.value, "all amplitudes are zero: this is not a state")
            return
        amplitudes = e.builder.reshape(e.builder.real_whole(t), (count,))
    stale = [q for q in qubits if q not in e.fresh]
    if stale:
        e.error(
            "E0508",
            node,
            f"`prepare` needs fresh qubits, but {qubit_name(e, stale[0])} may not be |0⟩ here",
            help=f"`reset {node.operands[0].span.text}` first",
        )
        return
    put(e, ir.Prepare(qubits, amplitudes, e.place_of(node)), qubits, node)


# --- declaring qubits ---


def qubits(e: Elaborator, node: ast.Qubits) -> None:
    sizes: list[int | None] = []
    for r in node.registers:
        size = integer(e, r.size, f"the size of `{r.name}`")
        if size is not None and size < 1:
            e.error("E0311", r.size, f"a register needs at least one qubit, found {size}")
            size = None
        sizes.append(size)
    source: object = None
    if node.initial is not None:
        source = e.eval(node.initial)
        if len(node.registers) > 1 and not isinstance(source, Poison):
            names = [r.span.text for r in node.registers]
            source = e.error(
                "E0503",
                node.initial,
                f"{len(names)} registers, but one beginning",
                help=f"split the line: `qubits {', '.join(names[:-1])}`, then "
                f"`qubits {names[-1]} = {node.initial.span.text}`",
            )
    if any(s is None for s in sizes) or isinstance(source, Poison):
        for r in node.registers:
            e.scope.names[r.name] = POISON
        return
    widths = [s for s in sizes if s is not None]
    if isinstance(source, Qubits):
        _move(e, node, source, widths)
        return
    if source is not None and not isinstance(source, Mixed):
        e.error(
            "E0208",
            node.initial or node,
            f"qubits start from another register or `mixed`, found {describe(source)}",
            help="for amplitudes use `prepare v on q`",
        )
    for r, size in zip(node.registers, widths, strict=True):
        start = len(e.register_of)
        if start + size > MAX_QUBITS:
            e.error("E0307", r, f"the program has more than {MAX_QUBITS} qubits")
            raise Rejected
        name = e.register_prefix + r.name
        register = Register(name, start, size, r.span)
        number = len(e.registers)
        e.registers.append(register)
        e.space_of.append(number)
        if e.region == "circuit":
            e.own_space.add(number)
        e.register_of.extend([number] * size)
        e.names[name] = r.span
        all_qubits = tuple(range(start, start + size))
        e.builder.quantum(ir.Alloc(all_qubits, isinstance(source, Mixed), e.place_of(r)))
        if source is None:
            e.fresh.update(all_qubits)
        if e.endings:
            e.endings[-1].qubits.extend(all_qubits)
            register.free = e.endings[-1]
        e.scope.names[r.name] = Qubits(all_qubits, (register,))
        e.fact(r.span, r.name, f"qubit[{size}]")


def _move(e: Elaborator, node: ast.Qubits, source: Qubits, widths: list[int]) -> None:
    assert node.initial is not None
    for r in node.registers:
        e.scope.names[r.name] = POISON
    if e.region == "step":
        e.error(
            "E0505",
            node,
            "qubits can't be moved inside a step: it runs many times",
            help="move them before the step",
        )
        return
    whole = sum(r.size for r in source.registers)
    if len(source.qubits) != whole:
        e.error("E0505", node.initial, "only whole registers can be moved")
        return
    if sum(widths) != whole:
        e.error(
            "E0505",
            node,
            f"{plural(whole, 'qubit')} can't be moved into {sum(widths)}",
            label=f"{sum(widths)} declared",
            notes=[
                Note(f"`{r.name}` is declared here with {plural(r.size, 'qubit')}", r.span)
                for r in source.registers
            ],
        )
        return
    for moved_register in source.registers:
        release(moved_register)
        moved_register.ended = f"they moved to `{node.registers[0].name}`"
        moved_register.ended_at = node.span
    at = 0
    for r, size in zip(node.registers, widths, strict=True):
        moved = source.qubits[at : at + size]
        at += size
        register = Register(e.register_prefix + r.name, moved[0], size, r.span)
        if e.endings:
            e.endings[-1].qubits.extend(moved)
            register.free = e.endings[-1]
        e.scope.names[r.name] = Qubits(moved, (register,))
        e.fact(r.span, r.name, f"qubit[{size}], moved")


EXPR[ast.Measure] = measure
STMT.update(
    {
        ast.Discard: discard,
        ast.Reset: reset,
        ast.Postselect: postselect,
        ast.Prepare: prepare,
        ast.Qubits: qubits,
    }
)

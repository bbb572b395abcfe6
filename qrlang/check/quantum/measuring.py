"""Qubits measured, reset, post-selected and prepared."""

from __future__ import annotations

from qrlang.check.algebra.numbers import is_whole
from qrlang.check.classical.tensors import as_tensor, numeric, of_value
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import POISON, Pending, Poison, Qubits, Tensor, describe, together
from qrlang.check.quantum.gates import operands_of
from qrlang.check.quantum.modifiers import put
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
    e.qubits.measured = True
    put(e, ir.Measure(out, thing.qubits, e.place_of(node)), thing.qubits, node)
    return of_value(out)


def _may_measure(e: Elaborator, node: ast.Node) -> bool:
    if e.here.region in ("model", "recurrent", "step", "circuit"):
        return True
    if e.here.region == "ansatz":
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
    before = e.here.capture
    put(e, ir.Reset(qubits, e.place_of(node)), (), node)
    if before is None and not e.here.in_if:
        e.qubits.fresh.update(qubits)


def postselect(e: Elaborator, node: ast.Postselect) -> None:
    thing = together(e.eval(node.target))
    outcome = e.eval(node.outcome)
    if isinstance(thing, Poison) or isinstance(outcome, Poison):
        return
    if e.here.region not in ("model", "recurrent", "step", "circuit", "ansatz") or e.here.in_if:
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
    thing = e.eval(node.value, 2**k)
    if isinstance(thing, Poison):
        return
    if isinstance(thing, Pending):
        e.widths.want(thing, (2**k,), node.span)
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
    stale = [q for q in qubits if q not in e.qubits.fresh]
    if stale:
        e.error(
            "E0508",
            node,
            f"`prepare` needs fresh qubits, but {e.qubits.called(stale[0])} may not be |0⟩ here",
            help=f"`reset {node.operands[0].span.text}` first",
        )
        return
    put(e, ir.Prepare(qubits, amplitudes, e.place_of(node)), qubits, node)

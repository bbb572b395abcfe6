"""`read`: expectation values and distributions, now or at the end of the last steps."""

from __future__ import annotations

from qrlang.check.classical.tensors import as_tensor, of_value, scalar
from qrlang.check.classical.whole import integer
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import POISON, Observable, Poison, Probs, Readout, Tensor
from qrlang.check.functions.sequences import last_of
from qrlang.check.quantum.observed import readable
from qrlang.ir import program as ir
from qrlang.ir.types import Type, real
from qrlang.syntax import ast


def _may_read(e: Elaborator, node: ast.Node, word: str) -> bool:
    if e.here.region in ("model", "recurrent", "step", "circuit") and not e.here.in_if:
        return True
    if e.here.in_if:
        e.error(
            "E0609",
            node,
            f"`{word}` can't stand inside `if` on a measured bit",
            help="`read` before or after it: it is the average over all shots",
        )
    elif e.here.region == "ansatz":
        e.error(
            "E0506",
            node,
            f"`{word}` can't stand in an ansatz: an ansatz is made of gates",
            help=f"`{word}` in the model, or in a circuit",
        )
    else:
        e.error("E0601", node, f"`{word}` can't stand here")
    return False


def read(e: Elaborator, node: ast.Read) -> object:
    thing = e.eval(node.target)
    if isinstance(thing, Poison) or not _may_read(e, node, "read"):
        return POISON
    shots, weak = 0, 0.0
    if isinstance(thing, Readout):
        shots, weak = thing.shots, thing.weak
    what = readable(e, thing, node.target)
    if isinstance(what, Poison):
        return what
    if node.last is not None:
        return _read_last(e, node, what, shots, weak)
    if isinstance(what, Probs):
        return _read_probs(e, node, what, shots)
    e.count_op(node)
    if isinstance(what, Observable):
        return _read_sum(e, node, what, shots, weak)
    assert isinstance(what, tuple)
    if any(c.terms for o in what for c, _ in o.terms):
        parts = [_read_sum(e, node, o, shots, weak) for o in what]
        return as_tensor(e, tuple(parts), node)
    out = e.builder.value(real(len(what)), _said(node))
    _expect(e, out, what, shots, weak)
    return of_value(out)


def _said(node: ast.Node) -> str:
    """What a reader calls this readout: `z`, or `each_z` of `each_z(memory)`."""
    target = node.target if isinstance(node, ast.Read) else node
    while isinstance(target, ast.Call):
        target = target.func
    return target.id if isinstance(target, ast.Name) else ""


def _expect(
    e: Elaborator, out: ir.Value, observables: tuple[Observable, ...], shots: int, weak: float
) -> None:
    e.builder.readouts.add(out.id)
    e.builder.quantum(ir.Expect(out, plain(observables), shots, weak))
    for o in observables:
        for _, p in o.terms:
            if len(p) > 1:
                e.qubits.meet(tuple(q for q, _ in p))


def plain(observables: tuple[Observable, ...]) -> tuple[ir.Observable, ...]:
    return tuple(tuple((c.constant, p) for c, p in o.terms) for o in observables)


def _read_probs(e: Elaborator, node: ast.Read, what: Probs, shots: int) -> Tensor:
    qubits = what.qubits.qubits
    out = e.builder.value(real(2 ** len(qubits)), _said(node))
    e.builder.readouts.add(out.id)
    e.builder.quantum(ir.Probabilities(out, qubits, shots))
    e.qubits.meet(qubits)
    return of_value(out)


def _read_sum(e: Elaborator, node: ast.Node, o: Observable, shots: int, weak: float) -> Tensor:
    """One number; coefficients that are values are multiplied in afterwards."""
    b = e.builder
    if not any(c.terms for c, _ in o.terms):
        out = b.value(real(1), _said(node))
        _expect(e, out, (o,), shots, weak)
        return scalar(ir.Angle(0.0, (ir.Term(1.0, out, 0),)))
    coefficients = Tensor(real(len(o.terms)), None, tuple(c for c, _ in o.terms))
    c = b.real_whole(coefficients)
    out = b.value(real(len(o.terms)), _said(node))
    _expect(e, out, tuple(Observable(((ir.Angle(1.0), p),)) for _, p in o.terms), shots, weak)
    return of_value(b.matmul(c, out))


def _read_last(e: Elaborator, node: ast.Read, what: object, shots: int, weak: float) -> object:
    assert node.last is not None
    count = integer(e, node.last, "`over last`")
    if count is None:
        return POISON
    if not 1 <= count <= 10_000:
        return e.error("E0311", node.last, f"`over last` takes 1 to 10000 moments, found {count}")
    loop = e.here.body.finished
    if loop is None:
        return e.error(
            "E0601",
            node,
            "`over last` looks back at the moments of a step that has ended",
            help="use it after the `step { … }` of the same block",
        )
    observables: tuple[Observable, ...] = ()
    if isinstance(what, Probs):
        key: object = ("probs", what.qubits.qubits, shots)
        width = 2 ** len(what.qubits.qubits)
    else:
        observables = (what,) if isinstance(what, Observable) else what  # type: ignore[assignment]
        if any(c.terms for o in observables for c, _ in o.terms):
            return e.error(
                "E0303", node, "`over last` needs observables whose coefficients are constants"
            )
        key = (plain(observables), shots, weak)
        width = len(observables)
    emitted = loop.reads.get(key)
    if emitted is None:
        value = e.builder.value(real(width), _said(node))
        e.builder.readouts.add(value.id)
        loop.body.flush()
        if isinstance(what, Probs):
            loop.body.ops.append(ir.Probabilities(value, what.qubits.qubits, shots))
        else:
            loop.body.ops.append(ir.Expect(value, plain(observables), shots, weak))
        emitted = e.builder.value(Type("real", (width,), seq=True))
        e.builder.readouts.add(emitted.id)
        loop.emits.append(ir.LoopEmit(f"read_{len(loop.reads) + 1}", value, emitted))
        loop.reads[key] = emitted
    found = last_of(e, emitted, count, node)
    return POISON if found is None else of_value(e.builder.reshape(found, (count * width,)))

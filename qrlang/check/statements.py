"""Statements: names, loops, choices, carries, steps and recurrences."""

from __future__ import annotations

from dataclasses import replace
from math import pi, prod, sqrt

from qrlang.check import layers
from qrlang.check.arithmetic import as_bits, as_tensor, of_value, viewed, want
from qrlang.check.builder import Block, LoopDraft
from qrlang.check.calls import header, readable
from qrlang.check.constants import is_number
from qrlang.check.core import MAX_SHOTS, STMT, Elaborator, Rejected, Scope
from qrlang.check.expressions import bit_angle, integer, is_bit
from qrlang.check.report import did_you_mean, plural
from qrlang.check.types import Declared, declared
from qrlang.check.values import (
    POISON,
    Builtin,
    Carry,
    Definition,
    Freeing,
    InitialValue,
    Layer,
    LayerSpec,
    LazyWeight,
    Observable,
    Pending,
    Poison,
    Probs,
    Qubits,
    Readout,
    Recurrence,
    Tensor,
    describe,
)
from qrlang.diagnostics import Note
from qrlang.ir import program as ir
from qrlang.ir.types import Type, real, seq
from qrlang.syntax import ast


class LoopContext:
    """A step being written: what it emits."""

    def __init__(self, draft: LoopDraft) -> None:
        self.draft = draft
        self.emits: dict[str, Tensor] = {}


# --- names ---


def let(e: Elaborator, node: ast.Let) -> None:
    value = e.eval(node.value)
    if isinstance(value, LayerSpec):
        e.error(
            "E0608",
            node.value,
            "a layer is declared, not let",
            help=f"`layer {node.name} = {node.value.span.text}`, outside of the step",
        )
        value = POISON
    e.scope.names[node.name] = value
    e.scope.lets.add(node.name)
    if isinstance(value, Tensor):
        e.fact(node.span, node.name, str(value.type))


def const(e: Elaborator, node: ast.Const) -> None:
    value = e.eval(node.value)
    if isinstance(value, (Tensor, Pending, Qubits)):
        value = e.error(
            "E0303",
            node.value,
            f"a constant must be known at compile time, found {describe(value)}",
            help=f"use `let {node.name} = …`",
        )
    e.scope.names[node.name] = value


def readout(e: Elaborator, node: ast.Readout) -> None:
    value = e.eval(node.value)
    found = value if isinstance(value, Poison) else readable(e, value, node.value)
    shots, weak = 0, 0.0
    if node.shots is not None:
        number = integer(e, node.shots, "the number of shots")
        if number is not None and number < 1:
            e.error("E0311", node.shots, f"the number of shots must be above 0, found {number}")
            number = None
        if number is not None and number > MAX_SHOTS:
            e.error("E0307", node.shots, f"the number of shots is over the limit of {MAX_SHOTS}")
            number = None
        shots = number or 0
    if node.weak is not None:
        strength = e.eval(node.weak)
        if not is_number(strength) or not 0 < strength <= 1:
            if not isinstance(strength, Poison):
                e.error(
                    "E0510",
                    node.weak,
                    "the strength of a weak measurement lies above 0, up to 1, "
                    f"found {describe(strength)}",
                )
        else:
            weak = float(strength)
    if isinstance(found, Poison):
        e.scope.names[node.name] = POISON
        return
    if isinstance(found, Readout):
        found = found.value
    e.scope.names[node.name] = Readout(node.name, found, shots, weak, node.span)
    width = (
        2 ** len(found.qubits.qubits)
        if isinstance(found, Probs)
        else (1 if isinstance(found, Observable) else len(found) if isinstance(found, tuple) else 0)
    )
    e.fact(node.span, node.name, f"readout: real[{width}]")


def ansatz_binding(e: Elaborator, node: ast.AnsatzBinding) -> None:
    value = e.eval(node.value)
    if not isinstance(value, Poison) and not (
        isinstance(value, Definition) and value.kind == "ansatz"
    ):
        help = ""
        if isinstance(value, Definition):
            help = f"declare it as what it is: `{value.kind.lower()} {node.name} = …`"
        value = e.error(
            "E0208", node.value, f"expected an ansatz, found {describe(value)}", help=help
        )
    if isinstance(value, Definition) and value.params is None:
        from qrlang.check.calls import bind_params

        params = bind_params(e, value.item.params, value, node.value, None)
        value = POISON if params is None else replace(value, params=params)
    e.scope.names[node.name] = value


def layer(e: Elaborator, node: ast.Layer) -> None:
    found = layers.declare(e, node)
    if isinstance(found, Layer) and e.circuit_frozen and e.circuit_frozen[-1]:
        found.frozen = True
    e.scope.names[node.name] = found


# --- data and tensors ---


def port(e: Elaborator, node: ast.Input | ast.Target) -> None:
    shape = declared(e, node.type)
    if shape is not None and not shape.known:
        e.error(
            "E0404",
            node.type,
            "the shape of a column of data can't be left open",
            help="say how many numbers a moment has: `seq[real[28]]`",
        )
        shape = None
    if shape is None:
        e.scope.names[node.name] = POISON
        return
    value = e.builder.value(shape.type, node.name, node.span)
    (e.inputs if isinstance(node, ast.Input) else e.targets).append(value)
    e.names[node.name] = node.span
    e.scope.names[node.name] = of_value(value)
    e.fact(node.span, node.name, str(shape))


def param(e: Elaborator, node: ast.Param) -> None:
    name = e.prefix + node.name
    shape = declared(e, node.type)
    e.scope.names[node.name] = POISON
    if shape is None:
        if node.initial is not None:
            e.eval(node.initial)
        return
    if shape.kind not in ("real", "unitary") or shape.seq:
        e.error(
            "E0213",
            node.type,
            f"a tensor of numbers can't be {shape}",
            help="`real[…]`, `angle[…]` or `unitary[k]`",
        )
        return
    dims = open_shape(e, name, shape, node.span, "param")
    if dims is None:
        e.scope.names[node.name] = Pending(name)
        return
    if not e.fits(dims, node.type):
        return
    k = shape.size or 0
    if shape.kind == "unitary":
        if k > 6:
            e.error("E0307", node.type, f"a trained unitary of {k} qubits is over the limit of 6")
            return
        dims = (4**k,)
    frozen = node.frozen or bool(e.circuit_frozen and e.circuit_frozen[-1])
    initial = _default_initial(shape, dims)
    if node.initial is not None:
        found = initial_of(e, node.initial, dims)
        if found is None:
            return
        initial = found
    weight = e.weights.tensors.get(name)
    if weight is None:
        weight = ir.Weight(name, dims, initial, not frozen, k)
        e.names[name] = node.span
    e.scope.names[node.name] = LazyWeight(weight)
    e.fact(
        node.span,
        node.name,
        f"{'frozen ' if frozen else ''}{shape.word}"
        + (
            f"[{', '.join(map(str, dims))}]"
            if shape.kind == "real" and dims
            else f"[{k}]"
            if k
            else ""
        ),
    )


def open_shape(
    e: Elaborator, name: str, shape: Declared, span: object, word: str
) -> tuple[int, ...] | None:
    """The dimensions of a declared tensor, `...` filled in by its use; None while unknown."""
    if shape.known:
        return shape.dims()
    hint = e.hints.get(name)
    if hint is not None:
        if shape.shape == (None,):
            return (prod(hint),) if len(hint) != 1 else hint
        if len(hint) == len(shape.shape) and all(
            d is None or d == h for d, h in zip(shape.shape, hint, strict=True)
        ):
            return hint
        solved = shape.solve(prod(hint))
        if solved is not None:
            return solved
    e.open_widths.setdefault(name, (span, word))  # type: ignore[arg-type]
    return None


def _default_initial(shape: Declared, dims: tuple[int, ...]) -> ir.Initial:
    if shape.kind == "unitary":
        return ir.Initial("haar")
    if shape.word == "angle":
        return layers.uniform(pi)
    return layers.uniform(1 / sqrt(dims[-1] if dims else 1))


def initial_of(e: Elaborator, node: ast.Expr, dims: tuple[int, ...]) -> ir.Initial | None:
    """How a tensor begins: a distribution, a number, or all its numbers."""
    value = e.eval(node)
    if isinstance(value, Poison):
        return None
    if isinstance(value, InitialValue):
        return ir.Initial(value.kind, value.args)
    if isinstance(value, Builtin) and value.name == "identity":
        return ir.Initial("identity")
    if isinstance(value, Builtin) and value.name == "orthogonal":
        return ir.Initial("orthogonal", (1.0,))
    if is_number(value):
        return ir.Initial("constant", (float(value),))
    if isinstance(value, Pending):
        e.error("E0303", node, "a tensor begins with constants, found a run-time value")
        return None
    t = as_tensor(e, value, node, "an initial value")
    if not isinstance(t, Tensor):
        return None
    if t.value is not None or any(a.terms for a in t.elements):
        e.error(
            "E0303",
            node,
            f"a tensor begins with constants, found {describe(t)}",
            help="`uniform(lo, hi)`, `normal(mean, sd)`, a number, or a list of numbers",
        )
        return None
    if len(t.elements) != prod(dims):
        shown = ", ".join(map(str, dims))
        e.error(
            "E0401",
            node,
            f"real[{shown}] has {prod(dims)} numbers, found {len(t.elements)}",
            help="give as many numbers, or one for all",
        )
        return None
    return ir.Initial("values", tuple(a.constant for a in t.elements))


def init(e: Elaborator, node: ast.Init) -> None:
    target = node.target
    if isinstance(target, ast.Field) and isinstance(target.base, ast.Name):
        base = e.lookup(target.base.id)
        part = "." + target.name
    elif isinstance(target, ast.Name):
        base, part = e.lookup(target.id), ""
    else:
        e.error("E0208", target, "`init` sets a tensor of a layer", help="`init steer.b2 = 0`")
        return
    if isinstance(base, Poison):
        return
    if base is None:
        e.eval(target.base if isinstance(target, ast.Field) else target)
        return
    if isinstance(base, LazyWeight) and not part:
        name = base.weight.name
    elif isinstance(base, Layer) and part:
        name = base.name + part
    else:
        help = ""
        if isinstance(base, Layer):
            help = f"name the tensor: `init {base.name.rpartition('.')[2]}.w = …`"
        e.error("E0208", target, f"`init` sets a tensor, found {describe(base)}", help=help)
        return
    value = e.eval(node.value)
    if not isinstance(value, Poison):
        # The shape is known once the layer has been called: checked at the end.
        e.weights.inits[name] = (node, e.scope)


def finish_inits(e: Elaborator) -> None:
    """Gives tensors the initial values that `init` lines ask for."""
    for name, (node, scope) in e.weights.inits.items():
        weight = e.weights.tensors.get(name)
        e.scope = scope
        if weight is None:
            layer_name, _, part = name.rpartition(".")
            parts = [
                n.rpartition(".")[2]
                for n in e.weights.tensors
                if n.rpartition(".")[0] == layer_name
            ]
            if not parts:
                continue  # the layer is never called: it has no tensors, and that is warned of
            e.error(
                "E0211",
                node.target,
                f"`{layer_name}` has no tensor `{part}`",
                help=did_you_mean(part, parts) or f"it has {', '.join(parts)}",
            )
            continue
        initial = initial_of(e, node.value, weight.shape)
        if initial is not None:
            e.weights.tensors[name] = replace(weight, initial=initial)


# --- carries ---


def carry(e: Elaborator, node: ast.Carry) -> None:
    name = e.prefix + node.name
    e.scope.names[node.name] = POISON
    shape = declared(e, node.type)
    thing: object = 0.0 if node.initial is None else e.eval(node.initial)
    if shape is None:
        return
    if shape.kind not in ("real", "bit") or shape.seq:
        e.error(
            "E0213",
            node.type,
            f"a carry holds numbers or bits, not {shape}",
            help="`carry h: real[n] = 0`",
        )
        return
    if not shape.known and isinstance(thing, (Tensor, tuple)):
        first = as_tensor(e, thing, node.initial or node)
        dims = shape.solve(first.type.count) if isinstance(first, Tensor) else None
    else:
        dims = open_shape(e, name, shape, node.span, "carry")
    type_ = Type(shape.kind, dims or ())
    found = Carry(node.name, type_, POISON, node.span)
    e.scope.names[node.name] = found
    e.carries[-1].append(found)
    if dims is None or isinstance(thing, Poison):
        return
    if is_number(thing):
        if not e.fits(dims, node):
            return
        # One constant for all: kept as one value, whatever its size.
        if shape.kind == "bit" and thing not in (0, 1):
            e.error("E0408", node.initial or node, f"a bit begins as 0 or 1, found {thing}")
            return
        start = e.builder.value(type_)
        e.builder.classical(ir.Const(start, (float(thing),) * prod(dims)))
        found.now = of_value(start)
    elif isinstance(thing, Pending):
        want(e, thing, dims, node)
        return
    else:
        t = _carried(e, thing, shape.kind, node.initial or node)
        if not isinstance(t, Tensor):
            return
        if t.type.count != prod(dims) or t.type.seq or not _fits_carry(t, type_):
            e.error(
                "E0408",
                node.initial or node,
                f"the carry `{node.name}` is {type_}, but begins as {t.type}",
                notes=[Note(f"`{node.name}` is declared here", node.type.span)],
            )
            return
        found.now = viewed(t, dims)
    e.names[name] = node.span
    e.fact(node.span, node.name, f"carry: {type_}")


def _carried(e: Elaborator, thing: object, kind: str, at: ast.Node) -> object:
    """What a carry of this kind is given: bits stay bits."""
    bits = as_bits(thing) if kind == "bit" else None
    return bits if bits is not None else as_tensor(e, thing, at)


def _fits_carry(t: Tensor, type_: Type) -> bool:
    return t.type.kind == "bit" or (t.type.kind == "real" and type_.kind == "real")


def update(e: Elaborator, node: ast.Update) -> None:
    value = e.eval(node.value)
    thing: object = e.lookup(node.name)
    if thing is None:
        from qrlang.check.resolve import unknown

        unknown(e, ast.Name(node.name, span=node.span))
        return
    if isinstance(thing, Poison):
        return
    if not isinstance(thing, Carry):
        e.error(
            "E0208",
            node,
            f"`<-` updates a carry; `{node.name}` is {describe(thing)}",
            help=f"declare `carry {node.name}: real[…] = 0` before the step",
        )
        return
    thing.updated = True
    if not thing.open:
        e.error(
            "E0601",
            node,
            f"`{node.name}` can be updated only in the step of the block that declares it",
            notes=[Note(f"`{node.name}` is declared here", thing.span)],
        )
        return
    if e.in_if:
        e.error(
            "E0609",
            node,
            "a carry can't be updated inside `if` on a measured bit",
            help=f"`{node.name} <- where(bit, a, b)`",
        )
        return
    if isinstance(value, Poison):
        return
    pending = isinstance(thing.now, Poison)
    if isinstance(value, Pending):
        if not pending:
            want(e, value, thing.type.shape, node)
        return
    t = _carried(e, value, thing.type.kind, node.value)
    if not isinstance(t, Tensor):
        return
    if pending:
        key = e.prefix + node.name
        if key in e.open_widths and t.type.kind == "real":
            e.wanted.setdefault(key, (t.type.shape, node.span))
        return
    number = not t.type.shape and t.value is None and not t.elements[0].terms
    if number and thing.type.shape:
        numbers = (t.elements[0].constant,) * thing.type.count
        t = of_value(e.builder.const(numbers, thing.type.shape, t.type.kind))
    if t.type.shape != thing.type.shape or t.type.seq or not _fits_carry(t, thing.type):
        e.error(
            "E0408",
            node.value,
            f"the carry `{node.name}` is {thing.type}, found {t.type}",
            notes=[Note(f"`{node.name}` is declared here", thing.span)],
        )
        return
    if t.type.kind == "bit" and thing.type.kind == "real":
        t = of_value(e.builder.real_whole(t))
    thing.now = t


# --- choices and loops at compile time; `if` on a bit ---


def if_(e: Elaborator, node: ast.If) -> None:
    condition = e.eval(node.condition)
    if isinstance(condition, Poison):
        return
    if isinstance(condition, bool):
        outer = e.inner()
        e.block(node.then if condition else node.orelse)
        e.scope = outer
        return
    if not is_bit(condition):
        help = "measure first: `let b = measure q[0]`, then `if b { … }`"
        if isinstance(condition, Tensor) and condition.type.kind == "bit":
            help = f"take one bit: `{node.condition.span.text}[0]`"
        elif isinstance(condition, (Tensor, Pending)):
            help = "`where(x, a, b)` chooses between values"
        e.error(
            "E0411",
            node.condition,
            "`if` needs a measured bit or a condition known at compile time, "
            f"found {describe(condition)}",
            help=help,
        )
        return
    if e.region == "ansatz" or e.capture is not None:
        e.error(
            "E0506",
            node,
            "an ansatz can't depend on a measured bit",
            help="put the `if` around `apply`, in the step",
        )
        return
    bit = bit_angle(condition)
    if not bit.terms:
        return
    term = bit.terms[0]
    branches = (node.then, node.orelse) if term.coefficient > 0 else (node.orelse, node.then)
    fresh = set(e.fresh)
    touched: set[int] = set()
    done: list[Block] = []
    e.in_if += 1
    for body in branches:
        e.fresh = set(fresh)
        e.builder.open()
        outer = e.inner()
        e.block(body)
        e.scope = outer
        done.append(e.builder.close())
        touched |= fresh - e.fresh
    e.in_if -= 1
    e.fresh = fresh - touched
    from qrlang.check.builder import finish

    place = e.place_of(node)
    e.builder.quantum(ir.If(term.value, term.index, finish(done[0]), finish(done[1]), place))


def for_(e: Elaborator, node: ast.For) -> None:
    values = e.eval(node.range)
    if isinstance(values, Poison):
        return
    if not isinstance(values, (range, tuple)):
        help = f"write `0..{node.range.span.text}`" if is_number(values) else "write `0..n`"
        if isinstance(values, Tensor) and values.type.seq:
            help = "a sequence is run through by `step … in`"
        e.error(
            "E0305",
            node.range,
            f"a loop needs a range or a list, found {describe(values)}",
            help=help,
        )
        return
    outer = e.scope
    e.in_for += 1
    body = node.body
    try:
        for value in values:
            e.tick(node)
            e.scope = Scope(outer.module, outer, loop=True)
            e.scope.names[node.var] = value
            e.block(body)
    finally:
        e.scope = outer
        e.in_for -= 1


def require(e: Elaborator, node: ast.Require) -> None:
    condition = e.eval(node.condition)
    if isinstance(condition, Poison):
        return
    if not isinstance(condition, bool):
        e.error(
            "E0411",
            node.condition,
            f"`require` needs a condition known at compile time, found {describe(condition)}",
        )
        return
    if not condition:
        e.error("E0308", node, node.message, label="this does not hold")
        raise Rejected


# --- results ---


def _result(e: Elaborator, node: ast.Emit | ast.Return) -> Tensor | None:
    value = e.eval(node.value)
    if isinstance(value, Poison):
        return None
    if isinstance(value, Pending):
        e.outputs_pending.append(value)
        return None
    if isinstance(value, Tensor) and value.type.kind in ("token", "class", "bit"):
        return value
    word = "emit" if isinstance(node, ast.Emit) else "return"
    t = as_tensor(e, value, node.value, f"a value to {word}")
    return t if isinstance(t, Tensor) else None


def emit(e: Elaborator, node: ast.Emit) -> None:
    t = _result(e, node)
    if e.region != "step" or not e.loops:
        e.error(
            "E0601",
            node,
            "`emit` belongs in a step: it hands out a value at each moment",
            help="`return` hands out a value at the end",
        )
        return
    context: LoopContext = e.loops[-1]
    if e.in_if:
        e.error(
            "E0609",
            node,
            "`emit` can't stand inside `if` on a measured bit",
            help="`emit where(bit, a, b)`",
        )
        return
    name = node.name or ""
    if name in context.emits:
        e.error(
            "E0603",
            node,
            f"`{name}` is emitted twice in one step" if name else "a step emits its output twice",
            help="put the values together: `emit concat(a, b)`",
        )
        return
    if t is None:
        context.emits[name] = POISON  # type: ignore[assignment]
        if not name:
            e.outputs.append((POISON, node.span))
        return
    if t.type.seq:
        e.error(
            "E0406",
            node.value,
            f"one moment is emitted at a time, found a whole sequence, {t.type}",
        )
        context.emits[name] = POISON  # type: ignore[assignment]
        if not name:
            e.outputs.append((POISON, node.span))
        return
    value = e.builder.whole(t)
    out = e.builder.value(seq(value.type), name, node.span)
    if value.id in e.builder.readouts:
        e.builder.readouts.add(out.id)
    context.draft.emits.append(ir.LoopEmit(name, value, out))
    context.emits[name] = of_value(out)
    if not name:
        e.outputs.append((of_value(out), node.span))


def return_(e: Elaborator, node: ast.Return) -> None:
    if e.region == "circuit":
        e.result = e.eval(node.value)
        return
    t = _result(e, node)
    if e.region != "model":
        e.error(
            "E0601",
            node,
            f"`return` can't stand in {_region(e.region)}",
            help="`emit` hands out a value at each step",
        )
        return
    e.outputs.append((POISON if t is None else t, node.span))


def _region(region: str) -> str:
    return {"ansatz": "an ansatz", "step": "a step", "recurrent": "a recurrent block"}.get(
        region, "here"
    )


# --- steps and recurrences ---


def step(e: Elaborator, node: ast.Step) -> None:
    if e.region == "recurrent":
        sequences: list[Tensor] | None = e.pending_sequences
        if node.sequences:
            e.error(
                "E0601",
                node,
                "the sequence of a recurrent block stands after `over`",
                help=f"write `step {', '.join(node.items)} {{ … }}`",
            )
            return
    else:
        if not node.sequences:
            e.error(
                "E0607", node, "a step of a model needs a sequence", help="`step row in rows { … }`"
            )
            return
        sequences = sequences_of(e, node.sequences)
    extra = 0
    if node.extra is not None:
        number = integer(e, node.extra, "the number of further steps")
        if number is not None and not 0 <= number <= 10_000:
            e.error("E0311", node.extra, f"further steps are 0 to 10000, found {number}")
            number = None
        extra = number or 0
    if sequences is not None and len(node.items) != len(sequences):
        e.error(
            "E0607",
            node,
            f"{plural(len(sequences), 'sequence')}, but {plural(len(node.items), 'name')} "
            "for its moments"
            if len(sequences) == 1
            else f"{plural(len(sequences), 'sequence')}, but {plural(len(node.items), 'name')}",
            help="one name for each: `step a, b in xs, ys { … }`",
        )
        sequences = None
    name = e.prefix.rstrip(".") if e.region == "recurrent" else "step"
    run(e, node, name, sequences, extra)


def sequences_of(e: Elaborator, nodes: tuple[ast.Expr, ...]) -> list[Tensor] | None:
    found: list[Tensor] = []
    good = True
    for node in nodes:
        thing = e.eval(node)
        if isinstance(thing, Tensor) and thing.type.seq:
            found.append(thing)
            continue
        good = False
        if not isinstance(thing, Poison):
            help = "declare it as one: `input rows: seq[real[28]]`"
            if isinstance(thing, (range, int)):
                help = "`for i in 0..n { … }` runs over numbers, at compile time"
            e.error(
                "E0406", node, f"a step runs over a sequence, found {describe(thing)}", help=help
            )
    return found if good else None


def run(
    e: Elaborator, node: ast.Step, name: str, sequences: list[Tensor] | None, extra: int
) -> None:
    b = e.builder
    carries = e.carries[-1]
    starts = [b.whole(c.now) if isinstance(c.now, Tensor) else None for c in carries]
    if name:
        e.names.setdefault(name, node.span)
    body = b.open()
    items: list[ir.LoopItem] = []
    outer, region = e.inner(), e.region
    e.region = "step"
    for item, sequence in zip(node.items, sequences or [], strict=False):
        assert sequence.value is not None
        value = b.value(sequence.type.item, item, node.span)
        items.append(ir.LoopItem(sequence.value, value))
        e.scope.names[item] = of_value(value)
    for item in node.items:
        e.scope.names.setdefault(item, POISON)
    flag = None
    if node.flag is not None:
        flag = b.value(real(), node.flag, node.span)
        e.scope.names[node.flag] = of_value(flag)
    draft = LoopDraft(name, tuple(items), body, extra, flag)
    arguments: list[ir.Value | None] = []
    for c, start in zip(carries, starts, strict=True):
        arg = b.value(start.type, c.name, c.span) if start is not None else None
        arguments.append(arg)
        if arg is not None:
            c.now = of_value(arg)
        c.open = True
    context = LoopContext(draft)
    e.loops.append(context)
    e.fresh = set()
    freeing = Freeing([])
    e.endings.append(freeing)
    e.carries.append([])
    last, e.last_loop = e.last_loop, None
    e.block(node.body)
    e.last_loop = last
    e.carries.pop()
    e.endings.pop()
    e.loops.pop()
    e.scope, e.region = outer, region
    nexts = [b.whole(c.now) if isinstance(c.now, Tensor) else None for c in carries]
    body.flush()
    if freeing.qubits:
        body.ops.append(freeing)
    b.close()
    e.fresh = set()
    for c, start, arg, next_ in zip(carries, starts, arguments, nexts, strict=True):
        c.open = False
        if not c.updated:
            e.error(
                "E0407",
                c.span,
                f"the carry `{c.name}` is never updated",
                help=f"update it in the step: `{c.name} <- …`; one that stays is a `let`",
                notes=[Note("this step should update it", header(node))],
            )
        if start is None or arg is None or next_ is None:
            c.now = POISON
            continue
        out = b.value(start.type, c.name, c.span)
        draft.carries.append(ir.LoopCarry(start, arg, next_, out))
        c.now = of_value(out)
    b.quantum(draft)
    e.last_loop = draft
    e.last_emits = context.emits
    if region != "recurrent":
        for emitted, found in context.emits.items():
            if emitted:
                e.scope.names.setdefault(emitted, found)


def recurrent(e: Elaborator, node: ast.Recurrent) -> None:
    sequences = sequences_of(e, node.sequences)
    found = Recurrence(e.prefix + node.name, node.span)
    found.span = header(node)
    saved = (e.prefix, e.register_prefix, e.region, e.pending_sequences, e.last_loop)
    e.prefix = e.register_prefix = e.prefix + node.name + "."
    e.region, e.pending_sequences = "recurrent", sequences
    e.last_loop, e.last_emits = None, {}
    outer = e.inner()
    e.names[found.name] = found.span
    freeing = Freeing([])
    e.endings.append(freeing)
    e.carries.append([])
    e.block(node.body)
    inside = e.scope.names
    e.carries.pop()
    e.endings.pop()
    e.scope = outer
    emits = e.last_emits
    e.prefix, e.register_prefix, e.region, e.pending_sequences, e.last_loop = saved
    for name, thing in inside.items():
        if isinstance(thing, Qubits):
            found.members[name] = thing
        elif isinstance(thing, Carry):
            found.members[name] = thing.now
        elif isinstance(thing, Poison):
            found.members[name] = thing
    found.members.update({k: v for k, v in emits.items() if k})
    e.scope.names[node.name] = found
    e.builder.quantum(freeing)


STMT.update(
    {
        ast.Let: let,
        ast.Const: const,
        ast.Readout: readout,
        ast.AnsatzBinding: ansatz_binding,
        ast.Layer: layer,
        ast.Input: port,
        ast.Target: port,
        ast.Param: param,
        ast.Init: init,
        ast.Carry: carry,
        ast.Update: update,
        ast.If: if_,
        ast.For: for_,
        ast.Require: require,
        ast.Emit: emit,
        ast.Return: return_,
        ast.Step: step,
        ast.Recurrent: recurrent,
    }
)

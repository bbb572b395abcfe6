"""Evaluating expressions."""

from __future__ import annotations

from math import prod

from qrlang.check import constants
from qrlang.check.arithmetic import binary, negate, numeric, scalar
from qrlang.check.constants import MAX_LIST, MAX_TEXT, is_number, is_whole
from qrlang.check.core import EXPR, Elaborator
from qrlang.check.observables import scale_observable, sum_observables
from qrlang.check.values import (
    POISON,
    Carry,
    Definition,
    Layer,
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
    release,
)
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import did_you_mean
from qrlang.ir import program as ir
from qrlang.ir.types import real
from qrlang.syntax import ast

SMALL = 4096  # up to here a slice stays a list of elements


def name(e: Elaborator, node: ast.Name) -> object:
    thing = e.lookup(node.id)
    if thing is None:
        from qrlang.check.resolve import unknown

        return unknown(e, node)
    if isinstance(thing, Carry):
        return thing.now
    if isinstance(thing, Qubits):
        return alive(e, thing, node)
    if type(thing) is LazyWeight:
        return use_weight(e, thing)
    if type(thing) is Tensor and thing.value in e.targets and not e.in_shifted:
        return leaked(e, node, thing)
    return thing


def leaked(e: Elaborator, node: ast.Name, target: Tensor) -> Poison:
    """What is to be found out can't be what it is found out from."""
    if target.type.seq:
        help = (
            f"`shifted({node.id})` is what came before each moment; for a sequence that is given, "
            f"declare an `input`"
        )
    else:
        help = f"leave it out; if the model is given `{node.id}`, declare it as an `input`"
    said = next(v for v in e.targets if v == target.value)
    span = e.names.get(said.name)
    return e.error(
        "E0610",
        node,
        f"the target `{node.id}` can't take part in its own prediction",
        label="nobody knows this when the model is used",
        help=help,
        notes=[Note(f"`{node.id}` is declared here", span)] if span else [],
    )


def use_weight(e: Elaborator, lazy: LazyWeight) -> Tensor:
    e.weights.tensors.setdefault(lazy.weight.name, lazy.weight)
    value = e.builder.weight(lazy.weight)
    return Tensor(value.type, value)


def alive(e: Elaborator, q: Qubits, node: ast.Node) -> Qubits | Poison:
    for r in q.registers:
        if r.ended:
            notes = [Note(r.ended, r.ended_at)] if r.ended_at else []
            return e.error(
                "E0504",
                node,
                f"the qubits of `{r.name}` can't be used here: {r.ended}",
                help="qubits can't be copied: use the register they moved to, or declare another",
                notes=notes,
            )
    return q


def literal(e: Elaborator, node: ast.Int | ast.Real | ast.Bool | ast.Str) -> object:
    value = node.value
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            return e.error("E0307", node, f"a text of more than {MAX_TEXT} characters")
        return value
    try:
        return value if isinstance(value, bool) else constants.checked(value)
    except constants.Wrong as w:
        return e.error(w.code, node, w.message, help=w.help)


def unary(e: Elaborator, node: ast.Unary) -> object:
    minus = 0
    inner: ast.Expr = node
    while isinstance(inner, ast.Unary) and inner.op == "-":
        minus += 1
        inner = inner.operand
    if minus:
        x = e.eval(inner)
        return negate(e, node, x) if minus % 2 else x
    x = e.eval(node.operand)
    if isinstance(x, (bool, Poison)):
        return (not x) if isinstance(x, bool) else x
    if is_bit(x):
        return negated_bit(e, x)
    return e.error("E0310", node, f"`not` needs a truth value or a bit, found {describe(x)}")


def is_bit(x: object) -> bool:
    return isinstance(x, Tensor) and x.type.kind == "bit" and not x.type.shape and not x.type.seq


def bit_angle(x: object) -> ir.Angle:
    """A bit as an affine sum of the bit itself (not of its copy as a real number)."""
    assert isinstance(x, Tensor)
    if x.value is not None:
        return ir.Angle(0.0, (ir.Term(1.0, x.value, 0),))
    return x.elements[0]


def negated_bit(e: Elaborator, x: object) -> object:
    assert isinstance(x, Tensor)
    a = bit_angle(x)
    flipped = tuple(ir.Term(-t.coefficient, t.value, t.index) for t in a.terms)
    return Tensor(x.type, None, (ir.Angle(1.0 - a.constant, flipped),))


def binary_chain(e: Elaborator, node: ast.Binary) -> object:
    # Long sums lean to the left; walk down without recursion.
    chain = [node]
    while isinstance(chain[-1].left, ast.Binary):
        chain.append(chain[-1].left)
    value = e.eval(chain[-1].left)
    terms: list[Observable] = []  # of a sum of observables: put together at its end
    for link in reversed(chain):
        if link.op in ("+", "-") and isinstance(value, Observable):
            right = e.eval(link.right)
            if isinstance(right, Observable):
                terms = terms or [value]
                terms.append(right if link.op == "+" else scale_observable(right, -1.0))
                continue
            value = binary(e, link, _summed(value, terms), right)
        else:
            value = _binary(e, link, _summed(value, terms))
        terms = []
    return _summed(value, terms)


def _summed(value: object, terms: list[Observable]) -> object:
    return sum_observables(terms) if terms else value


def _binary(e: Elaborator, node: ast.Binary, left: object) -> object:
    op = node.op
    if op in ("and", "or"):
        if isinstance(left, bool):
            if left == (op == "or"):
                return left
            right = e.eval(node.right)
            if isinstance(right, (bool, Poison)) or is_bit(right):
                return right
            return e.error(
                "E0310", node.right, f"`{op}` needs truth values, found {describe(right)}"
            )
        if isinstance(left, Poison):
            return POISON
        if is_bit(left):
            return e.error(
                "E0310",
                node,
                f"measured bits can't be joined by `{op}` in one condition",
                help="put one `if` inside another",
            )
        return e.error("E0310", node.left, f"`{op}` needs truth values, found {describe(left)}")
    right = e.eval(node.right)
    if op not in constants.ARITHMETIC and op not in constants.COMPARISON:
        return POISON  # not an operator: the parser has said so
    if op in constants.COMPARISON:
        return _compare(e, node, left, right)
    return binary(e, node, left, right)


def _compare(e: Elaborator, node: ast.Binary, left: object, right: object) -> object:
    if isinstance(left, Poison) or isinstance(right, Poison):
        return POISON
    for bit, other in ((left, right), (right, left)):
        if is_bit(bit) and is_number(other) and node.op in ("==", "!=") and other in (0, 1):
            return bit if (other == 1) == (node.op == "==") else negated_bit(e, bit)
    if is_bit(left) and is_bit(right):
        return e.error(
            "E0310",
            node,
            f"two measured bits can't be held against each other by `{node.op}`",
            help="put one `if` inside another",
        )
    if isinstance(left, (Tensor, Pending)) or isinstance(right, (Tensor, Pending)):
        side = node.left if isinstance(left, (Tensor, Pending)) else node.right
        return e.error(
            "E0303",
            side,
            "run-time values can't be compared",
            help=f"compare one bit: `{side.span.text}[0] {node.op} …`"
            if any(isinstance(x, Tensor) and x.type.kind == "bit" for x in (left, right))
            else "`where(x, a, b)` chooses a where x is above 0.5",
        )
    result = constants.compare(node.op, left, right)
    if result is None:
        return e.error(
            "E0310",
            node,
            f"{describe(left)} and {describe(right)} can't be compared by `{node.op}`",
        )
    return result


def integer(e: Elaborator, node: ast.Expr, what: str) -> int | None:
    """A whole number known at compile time; says what is wrong otherwise."""
    value = e.eval(node)
    if is_whole(value):
        return value
    if isinstance(value, Poison):
        return None
    if isinstance(value, float):
        help = "`div` divides whole numbers" if "/" in node.span.text else ""
        if value.is_integer() and not help:
            help = f"write {int(value)}"
        e.error("E0305", node, f"{what} must be a whole number, found {value:g}", help=help)
    elif isinstance(value, (Tensor, Pending)):
        e.error(
            "E0303",
            node,
            f"{what} must be known at compile time, found {describe(value)}",
            help="sizes, ranges and indices come from numbers, parameters and constants",
        )
    else:
        e.error("E0305", node, f"{what} must be a whole number, found {describe(value)}")
    return None


def range_(e: Elaborator, node: ast.Range) -> object:
    if node.lo is None or node.hi is None:
        return e.error("E0305", node, "a range needs both ends here")
    lo = integer(e, node.lo, "the start of a range")
    hi = integer(e, node.hi, "the end of a range")
    by = 1 if node.by is None else integer(e, node.by, "the stride of a range")
    if lo is None or hi is None or by is None:
        return POISON
    if by == 0:
        return e.error("E0305", node.by or node, "the stride of a range can't be 0")
    return range(lo, hi, by)


# --- indexing ---


def index(e: Elaborator, node: ast.Index) -> object:
    base = e.eval(node.base)
    if isinstance(base, Tensor):
        return _index_tensor(e, node, base)
    if isinstance(base, Qubits):
        items = _items(e, node, (len(base.qubits),), empty=True)
        if items is None:
            return POISON
        picked = items[0]
        if isinstance(picked, int):
            return Qubits((base.qubits[picked],), base.registers, single=True)
        return Qubits(tuple(base.qubits[i] for i in picked), base.registers)
    if isinstance(base, (tuple, range, str)):
        items = _items(e, node, (len(base),))
        if items is None:
            return POISON
        picked = items[0]
        return base[picked] if isinstance(picked, int) else tuple(base[i] for i in picked)
    if isinstance(base, (Poison, Pending)):
        for item in node.items:
            if not isinstance(item, ast.Range):
                e.eval(item)
        return POISON
    read = isinstance(base, (Observable, Probs, Readout)) and "\n" not in node.span.text
    rest = node.span.text.removeprefix(node.base.span.text)
    return e.error(
        "E0310", node, f"{describe(base)} has no elements",
        help=f"of what is read: `(read {node.base.span.text}){rest}`" if read else "",
    )  # fmt: skip


def _items(
    e: Elaborator, node: ast.Index, shape: tuple[int, ...], empty: bool = False
) -> list[int | range | tuple[int, ...]] | None:
    """Each index checked against its dimension."""
    if len(node.items) > len(shape):
        e.error(
            "E0306",
            node,
            f"{len(node.items)} indices, but `{node.base.span.text}` has "
            + ("one dimension" if len(shape) == 1 else f"{len(shape)} dimensions")
            if shape
            else f"`{node.base.span.text}` is a single number: it has no elements",
        )
        return None
    out: list[int | range | tuple[int, ...]] = []
    for axis, item in enumerate(node.items):
        size = shape[axis]
        if isinstance(item, ast.Range):
            lo = 0 if item.lo is None else integer(e, item.lo, "a slice")
            hi = size if item.hi is None else integer(e, item.hi, "a slice")
            by = 1 if item.by is None else integer(e, item.by, "a stride")
            if lo is None or hi is None or by is None:
                return None
            if by <= 0:
                e.error("E0305", item, "the stride of a slice must be above 0")
                return None
            if not (0 <= lo <= size and 0 <= hi <= size):
                _out_of_range(e, node, item, f"{lo}..{hi}", size, axis, len(shape))
                return None
            if lo >= hi and not empty:
                e.error("E0311", item, f"this slice is empty: {lo}..{hi}")
                return None
            out.append(range(lo, hi, by))
            continue
        value = e.eval(item)
        if isinstance(value, (tuple, range)) and all(is_whole(v) for v in value):
            for v in value:
                if not 0 <= v < size:
                    _out_of_range(e, node, item, str(v), size, axis, len(shape))
                    return None
            if not value and not empty:
                e.error("E0311", item, "an empty list of indices")
                return None
            out.append(tuple(value))
            continue
        if not is_whole(value):
            if isinstance(value, (Tensor, Pending)):
                e.error(
                    "E0303",
                    item,
                    f"an index must be known at compile time, found {describe(value)}",
                    help="loops are unrolled: an index is made of loop variables and constants",
                )
            elif not isinstance(value, Poison):
                e.error(
                    "E0305",
                    item,
                    f"an index must be a whole number, found {describe(value)}",
                    help="`div` divides whole numbers" if "/" in item.span.text else "",
                )
            return None
        if not 0 <= value < size:
            _out_of_range(e, node, item, str(value), size, axis, len(shape))
            return None
        out.append(value)
    return out


def _out_of_range(
    e: Elaborator, node: ast.Index, item: ast.Node, shown: str, size: int, axis: int, rank: int
) -> None:
    base = node.base.span.text
    where = f"axis {axis} of `{base}`" if rank > 1 else f"`{base}`"
    allowed = f"0 to {size - 1}" if size > 1 else "only 0"
    help = "counting begins at 0"
    if isinstance(item, ast.Range):
        e.error(
            "E0306",
            item,
            f"the slice {shown} is out of range: {where} has {size} "
            + ("element" if size == 1 else "elements"),
        )
        return
    if isinstance(item, ast.Unary) and isinstance(item.operand, ast.Int):
        help = "counting begins at 0; the last "
        help += f"is `{base}[len({base}) - 1]`" if rank == 1 else f"index is {size - 1} here"
    elif "%" not in item.span.text and ("+" in item.span.text or "-" in item.span.text):
        help = f"let the loop end earlier, or wrap around: `({item.span.text}) % {size}`"
    e.error(
        "E0306",
        item,
        f"index {shown} is out of range: {where} has {size} "
        + ("element" if size == 1 else "elements")
        + f", {allowed}",
        help=help,
    )


def _index_tensor(e: Elaborator, node: ast.Index, t: Tensor) -> object:
    if not numeric(e, t, node.base):
        return POISON
    shape = t.type.shape
    items = _items(e, node, shape)
    if items is None:
        return POISON
    rest = shape[len(items) :]
    offset = 0
    if not rest and all(isinstance(i, int) for i in items):
        for i, d in zip(items, shape, strict=True):
            offset = offset * d + i  # type: ignore[operator]
        if t.value is None:
            return Tensor(t.type if t.type.kind == "bit" else real(), None, (t.elements[offset],))
        if t.value.type.kind == "bit":
            angle = ir.Angle(0.0, (ir.Term(1.0, t.value, offset),))
            return Tensor(type(t.type)("bit"), None, (angle,))
        return scalar(ir.Angle(0.0, (ir.Term(1.0, t.value, offset),)))
    axes = [(i,) if isinstance(i, int) else tuple(i) for i in items] + [
        tuple(range(d)) for d in rest
    ]
    new_shape = tuple(len(a) for a, i in zip(axes, items, strict=False) if not isinstance(i, int))
    new_shape += rest
    positions = [0]
    for axis, d in zip(axes, shape, strict=True):
        positions = [p * d + i for p in positions for i in axis]
    kind = t.type.kind
    type_ = type(t.type)(kind, new_shape)
    if t.value is None:
        return Tensor(type_, None, tuple(t.elements[p] for p in positions))
    if len(positions) == prod(t.value.type.shape) and positions == list(range(len(positions))):
        return Tensor(type_, t.value)
    if len(positions) <= SMALL and kind == "real":
        one = [ir.Angle(0.0, (ir.Term(1.0, t.value, p),)) for p in positions]
        return Tensor(type_, None, tuple(one))
    return Tensor(type_, e.builder.gather(t.value, tuple(positions), new_shape))


def field(e: Elaborator, node: ast.Field) -> object:
    base = e.eval(node.base)
    if isinstance(base, Poison):
        return POISON
    if isinstance(base, Recurrence):
        found = base.members.get(node.name)
        if found is None:
            help = did_you_mean(node.name, base.members)
            if not help:
                help = (
                    f"`{base.name}` gives " + ", ".join(f"`{m}`" for m in base.members)
                    if base.members
                    else f"give it a name there: `emit {node.name} = …`"
                )
            return e.error(
                "E0211",
                node,
                f"`{base.name}` has no `{node.name}`",
                help=help,
                notes=[Note(f"`{base.name}` is declared here", base.span)],
            )
        if isinstance(found, Qubits):
            for r in found.registers:
                release(r)  # somebody wants these qubits after their block
            return alive(e, found, node)
        return found
    if isinstance(base, Layer):
        return e.error(
            "E0211",
            node,
            f"the weights of `{base.name}` can't be read here",
            help=f"`init {base.name}.{node.name} = …` sets how they begin",
        )
    return e.error("E0211", node, f"{describe(base)} has no `{node.name}`")


# --- lists ---


def list_(e: Elaborator, node: ast.List) -> object:
    items = [e.eval(item) for item in node.items]
    return _spliced(e, node, items)


def _spliced(e: Elaborator, node: ast.Expr, items: list[object]) -> object:
    if any(isinstance(i, Poison) for i in items):
        return POISON
    if len(items) > MAX_LIST:
        return e.error("E0307", node, f"a list of more than {MAX_LIST} elements")
    return tuple(items)


def comprehension(e: Elaborator, node: ast.Comprehension) -> object:
    items: list[object] = []
    if not _clause(e, node, 0, items):
        return POISON
    return _spliced(e, node, items)


def _clause(e: Elaborator, node: ast.Comprehension, depth: int, items: list[object]) -> bool:
    if depth == len(node.clauses):
        value = e.eval(node.element)
        items.append(value)
        if len(items) > MAX_LIST:
            e.error("E0307", node, f"a list of more than {MAX_LIST} elements")
            return False
        return not isinstance(value, Poison)
    clause = node.clauses[depth]
    values = e.eval(clause.range)
    if isinstance(values, Poison):
        return False
    if not isinstance(values, (range, tuple)):
        e.error(
            "E0305",
            clause.range,
            f"a loop needs a range or a list, found {describe(values)}",
            help="write `0..n`",
        )
        return False
    for value in values:
        e.tick(clause)
        outer = e.inner()
        e.scope.loop = True
        e.scope.names[clause.var] = value
        try:
            if clause.condition is not None:
                condition = e.eval(clause.condition)
                if isinstance(condition, Poison):
                    return False
                if not isinstance(condition, bool):
                    e.error(
                        "E0411",
                        clause.condition,
                        "the condition of a list must be known at compile time, found "
                        + describe(condition),
                    )
                    return False
                if not condition:
                    continue
            if not _clause(e, node, depth + 1, items):
                return False
        finally:
            e.scope = outer
    return True


def not_callable(e: Elaborator, node: ast.Call, thing: object) -> Poison:
    help = ""
    if isinstance(thing, Definition) and thing.kind == "ansatz":
        help = f"an ansatz acts on qubits: `apply {node.func.span.text}(…) to q`"
    elif isinstance(thing, Qubits):
        help = "qubits are indexed by brackets: `q[0]`"
    elif isinstance(thing, (Tensor, tuple)):
        help = "elements are taken by brackets: `v[0]`"
    return e.error("E0208", node.func, f"{describe(thing)} can't be called", help=help)


EXPR.update(
    {
        ast.Name: name,
        ast.Int: literal,
        ast.Real: literal,
        ast.Bool: literal,
        ast.Str: literal,
        ast.Unary: unary,
        ast.Binary: binary_chain,
        ast.Range: range_,
        ast.Index: index,
        ast.Field: field,
        ast.List: list_,
        ast.Comprehension: comprehension,
    }
)

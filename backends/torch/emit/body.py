"""The `forward` of a model: one statement after the other, as the program has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from qrlang.analysis.purity import per_shot
from qrlang.backends.emit.names import Names
from qrlang.backends.emit.text import atom, is_number
from qrlang.backends.torch.circuits.text import angle_text, number
from qrlang.backends.torch.emit.classical import Expressions, flat
from qrlang.backends.torch.emit.constants import Constants
from qrlang.backends.torch.emit.layers import Layers
from qrlang.backends.torch.emit.layout import fit, groups
from qrlang.backends.torch.emit.names import attribute
from qrlang.backends.torch.spaces import density_spaces
from qrlang.ir.program import (
    Alloc,
    Angle,
    ApplyMatrix,
    CallExtern,
    Channel,
    Const,
    Evolve,
    Expect,
    Free,
    If,
    Loop,
    LoopCarry,
    Measure,
    Op,
    Postselect,
    Prepare,
    Probabilities,
    Program,
    Reset,
    Unitary,
    UseWeight,
    Value,
)
from qrlang.ir.walk import qubits_of, regions, used_values, uses, uses_in, walk

LONGEST = 56  # letters of an expression that is written where it is used


class Body:
    """Writes the statements. `texts[id]` is what a value is called, or its whole expression."""

    def __init__(self, program: Program, layers: Layers, constants: Constants) -> None:
        self.program = program
        self.layers = layers
        self.constants = constants
        self.names = constants.names  # a local name must not hide a global one
        self.lines: list[str] = []
        self.indent = 8
        self.texts: dict[int, str] = {}
        self.expressions = Expressions(self._weight)
        self.uses: Counter[int] = Counter()
        self.region_of_use: dict[int, set[int]] = {}
        self.tainted = per_shot(program)
        self.densities = density_spaces(program)
        self.spaces = program.spaces
        self.space_of = program.space_of
        self.state: dict[int, str] = {}  # by space: its variable
        self.alive: set[int] = set()
        self.needed = needed(program)
        self._count(program.body, 0)
        for output in program.outputs:
            self._used(output.value, 0)
        self.outputs_only = self._outputs_only()

    # --- what is used where ---------------------------------------------------------------------

    def _used(self, value: Value, region: int) -> None:
        self.uses[value.id] += 1
        self.region_of_use.setdefault(value.id, set()).add(region)

    def _count(self, ops: tuple[Op, ...], region: int) -> None:
        for op in ops:
            for value in uses(op):
                inner = isinstance(op, Loop) and any(
                    value is v
                    for v in (*(c.next for c in op.carries), *(e.value for e in op.emits))
                )
                self._used(value, id(op.body) if inner and isinstance(op, Loop) else region)
            for body in regions(op):
                self._count(body, id(body))

    def _outputs_only(self) -> set[int]:
        """Emitted sequences that nothing but outputs use."""
        read = used_values(self.program.body)
        return {
            e.out.id
            for op in walk(self.program.body)
            if isinstance(op, Loop)
            for e in op.emits
            if e.out.id not in read
        }

    def _weight(self, name: str) -> str:
        if any(e.name == name for e in self.program.externs):
            return f"self.{attribute(name)}"
        return self.layers.weight(name)

    # --- statements -----------------------------------------------------------------------------

    def say(self, text: str) -> None:
        self.lines += fit(text, self.indent)

    @contextmanager
    def inside(self) -> Iterator[None]:
        self.indent += 4
        before = len(self.lines)
        yield
        if len(self.lines) == before:
            self.say("pass")
        self.indent -= 4

    def of(self, value: Value) -> str:
        text = self.texts[value.id]
        return f"run.tensor({text})" if is_number(text) else text

    def define(self, value: Value, text: str, hint: str = "", always: bool = False) -> None:
        """A variable, or the bare expression if it is short and used once, nearby."""
        if not self.uses[value.id]:
            self.say(text)
            return
        short = len(text) <= LONGEST and self.uses[value.id] == 1
        if short and not always and self.region_of_use.get(value.id) == {self.region}:
            self.texts[value.id] = text
            return
        name = self.names.free(value.name or hint or "v")
        self.texts[value.id] = name
        self.say(f"{name} = {text}")

    def ops(self, ops: tuple[Op, ...], region: int) -> None:
        outer, self.region = getattr(self, "region", 0), region
        for op in ops:
            self._op(op)
        self.region = outer

    def _op(self, op: Op) -> None:
        out = getattr(op, "out", None)
        if isinstance(out, Value):
            if out.id in self.layers.inside:
                return
            if out.id not in self.needed:
                return
            if out.id in self.layers.chains:
                layer, chain = self.layers.chains[out.id]
                (x,) = (v for v in uses(chain[0]))
                hint = layer.name.rpartition(".")[2]
                self.define(out, f"{layer.path}({self.of(x)})", hint)
                return
        method = getattr(self, f"_{type(op).__name__.lower()}", None)
        if method is not None:
            method(op)
            return
        args = [
            self.texts[v.id] if type(op).__name__ == "Pointwise" else self.of(v) for v in uses(op)
        ]
        assert isinstance(out, Value)
        hint = op.layer if isinstance(op, CallExtern) else ""
        text = self.expressions.text(op, args)
        if len(text) > LONGEST and groups(text) > 1:  # no formatter breaks that well
            args = [a if "(" not in a else self._named(v, a)
                    for v, a in zip(uses(op), args, strict=True)]  # fmt: skip
            text = self.expressions.text(op, args)
        self.define(out, text, hint)

    def _named(self, value: Value, text: str) -> str:
        """An expression as a variable after all."""
        name = self.names.free(value.name or _head(text))
        self.texts[value.id] = name
        self.say(f"{name} = {text}")
        return name

    def _const(self, op: Const) -> None:
        if op.out.type.kind in ("real", "bit") and op.out.type.shape == ():
            self.texts[op.out.id] = repr(float(op.data[0]))
        else:
            self.define(op.out, self.expressions.text(op, []))

    def _useweight(self, op: UseWeight) -> None:
        text = self.expressions.text(op, [])
        if op.out.type.kind == "unitary":
            self.define(op.out, text, op.weight.rpartition(".")[2], always=True)
        else:
            self.texts[op.out.id] = text

    # --- qubits ---------------------------------------------------------------------------------

    def _local(self, space: int) -> dict[int, int]:
        return {q: i for i, q in enumerate(self.spaces[space])}

    def _on(self, qubits: tuple[int, ...]) -> tuple[str, str]:
        """The state of some qubits, and what it calls them."""
        name, local, _ = self._state(qubits)
        return name, ", ".join(str(local[q]) for q in qubits)

    def _state(self, qubits: tuple[int, ...]) -> tuple[str, dict[int, int], int]:
        space = self.space_of[qubits[0]]
        return self.state[space], self._local(space), len(self.spaces[space])

    def _alloc(self, op: Alloc) -> None:
        for space in sorted({self.space_of[q] for q in op.qubits}):
            own = set(self.spaces[space])
            if not own & self.alive:
                if space not in self.state:
                    registers = [r.name for r in self.program.registers if r.space == space]
                    wanted = registers[0] if len(registers) == 1 else "qubits"
                    self.state[space] = self.names.free(wanted)
                name = self.state[space]
                mixed = ", mixed=True" if space in self.densities else ""
                self.say(f'{name} = run.qubits({len(own)}, "{name}"{mixed})')
            if op.mixed:
                local = self._local(space)
                which = ", ".join(str(local[q]) for q in op.qubits if q in own)
                self.say(f"{self.state[space]}.mix({which})")
        self.alive |= set(op.qubits)

    def _free(self, op: Free) -> None:
        self.alive -= set(op.qubits)
        for space in sorted({self.space_of[q] for q in op.qubits}):
            local = self._local(space)
            left = set(self.spaces[space]) & self.alive
            mine = self.spaces[space] if not left else [q for q in op.qubits if q in local]
            self.say(f"{self.state[space]}.free({', '.join(str(local[q]) for q in mine)})")

    def _unitary(self, op: Unitary) -> None:
        by_space: dict[int, list[object]] = {}

        for element in op.elements:
            qubits = qubits_of(element)
            if qubits:
                by_space.setdefault(self.space_of[qubits[0]], []).append(element)
        for space, elements in by_space.items():
            name, local = self.state[space], self._local(space)
            vectors = self._vectors(tuple(elements))
            constant = self.constants.circuit(
                tuple(elements), len(local), local, {v: n for v, (n, _) in vectors.items()}, name
            )  # fmt: skip
            given = "".join(f", {n}={text}" for n, text in vectors.values())
            self.say(f"{name}.apply({constant}{given})")

    def _vectors(self, thing: object) -> dict[int, tuple[str, str]]:
        """The values that angles come from, by id: a name for the circuit's text, and their own."""
        out: dict[int, tuple[str, str]] = {}
        names = Names(("q", "pi", "self", "circuit"))
        for value in uses_in(thing):
            if value.id not in out:
                text = self.of(value)
                name = value.name or _head(text)
                out[value.id] = (names.free(name), flat(text, value))
        return out

    def _angle(self, angle: Angle) -> str:
        """An affine angle as an expression on its own."""
        if not angle.terms:
            return f"run.tensor({number(angle.constant).replace('pi', 'math.pi')})"
        text = angle_text(angle, lambda v: f"%{v.id}%").replace("pi", "math.pi")
        for term in angle.terms:
            value = term.value
            element = f"%{value.id}%[{term.index}]"
            own = self.of(value)
            here = own if not value.type.shape else f"{atom(flat(own, value))}[..., {term.index}]"
            text = text.replace(element, atom(here))
        return text

    def _evolve(self, op: Evolve) -> None:
        qubits = tuple(q for _, string in op.terms for q, _ in string)
        if not qubits:
            return
        name, local, _ = self._state(qubits)
        strings = self.constants.strings(
            tuple(tuple((local[q], letter) for q, letter in s) for _, s in op.terms), name
        )
        if all(not angle.terms for angle, _ in op.terms):
            coefficients = f"run.tensor({[a.constant for a, _ in op.terms]})"
        else:
            coefficients = f"qr.stack({', '.join(self._angle(a) for a, _ in op.terms)})"
        trotter = f", trotter={op.trotter}" if op.trotter else ""
        self.say(f"{name}.evolve({strings}, {coefficients}, {self._angle(op.time)}{trotter})")

    def _applymatrix(self, op: ApplyMatrix) -> None:
        name, local, _ = self._state(op.qubits)
        extra = ", adjoint=True" if op.adjoint else ""
        for word, which in (("controls", op.controls), ("zeros", op.zeros)):
            if which:
                extra += f", {word}=({', '.join(str(local[q]) for q in which)},)"
        qubits = ", ".join(str(local[q]) for q in op.qubits)
        self.say(f"{name}.apply_matrix({self.of(op.matrix)}, {qubits}{extra})")

    def _prepare(self, op: Prepare) -> None:
        name, qubits = self._on(op.qubits)
        self.say(f"{name}.prepare({self.of(op.amplitudes)}, {qubits})")

    def _expect(self, op: Expect) -> None:
        """Observables of several spaces are the sum of what each space gives."""
        spaces = sorted({self.space_of[q] for o in op.observables for _, s in o for q, _ in s})
        if not spaces:
            total = [sum(f for f, _ in o) for o in op.observables]
            self.define(op.out, f"run.tensor({total})")
            return
        extra = f", shots={op.shots}" if op.shots else ""
        extra += f", weak={op.weak!r}" if op.weak else ""
        reads = []
        for i, space in enumerate(spaces):
            own = tuple(
                tuple((f, s) for f, s in o if (self.space_of[s[0][0]] == space if s else i == 0))
                for o in op.observables
            )
            local = self._local(space)
            wanted = op.out.name or "readout"
            name = self.constants.observables(own, len(local), local, wanted, op.settings)
            reads.append(f"{self.state[space]}.read({name}{extra})")
        self.define(op.out, " + ".join(reads), "z", always=True)

    def _probabilities(self, op: Probabilities) -> None:
        name, qubits = self._on(op.qubits)
        extra = f", shots={op.shots}" if op.shots else ""
        self.define(op.out, f"{name}.probabilities({qubits}{extra})", "p", always=True)

    def _measure(self, op: Measure) -> None:
        name, qubits = self._on(op.qubits)
        scalar = "[..., 0]" if not op.out.type.shape else ""
        self.define(op.out, f"{name}.measure({qubits}){scalar}", "bit", always=True)

    def _reset(self, op: Reset) -> None:
        name, qubits = self._on(op.qubits)
        self.say(f"{name}.reset({qubits})")

    def _postselect(self, op: Postselect) -> None:
        name, qubits = self._on(op.qubits)
        bits = ", ".join(map(str, op.bits))
        text = f"{name}.postselect(({qubits},), ({bits},))"
        self.define(op.out, text, "kept", always=True)

    def _channel(self, op: Channel) -> None:
        name, qubits = self._on(op.qubits)
        if all(not a.terms for a in op.args):
            args = f"run.tensor({[a.constant for a in op.args]})"
        else:
            args = f"qr.stack({', '.join(self._angle(a) for a in op.args)})"
        self.say(f'{name}.channel("{op.name}", ({qubits},), {args})')

    # --- control --------------------------------------------------------------------------------

    def _if(self, op: If, outer: tuple[str, ...] = ()) -> None:
        """`outer`: what must hold as well; an `if` with nothing around it shares a line."""
        bit = self.of(op.condition)
        if op.condition.type.shape:
            bit = f"{atom(flat(bit, op.condition))}[..., {op.index}]"
        alive = set(self.alive)
        for value, body in ((1, op.then), (0, op.orelse)):
            if body:
                self.alive = set(alive)
                holds = (*outer, f"run.when({bit}{'' if value else ', 0'})")
                inner = body[0]
                if len(body) == 1 and isinstance(inner, If) and not (inner.then and inner.orelse):
                    self._if(inner, holds)
                    continue
                self.say(f"with {', '.join(holds)}:")
                with self.inside():
                    self.ops(body, id(body))

    def _loop(self, op: Loop) -> None:
        kept = [e for e in op.emits if e.out.id in self.needed]
        carries = [c for c in op.carries if c.arg.id in self.needed or c.out.id in self.needed]
        lists = {e.name: self.names.free(f"{e.out.name or e.name or 'out'}_steps") for e in kept}
        for carry in carries:
            name = self.names.free(carry.arg.name or carry.out.name or "carry")
            self.texts[carry.arg.id] = self.texts[carry.out.id] = name
            self.say(f"{name} = {self.of(carry.initial)}")
        for name in lists.values():
            self.say(f"{name}: list[Tensor] = []")
        steps = self.names.free("steps")
        sequences = "".join(f"{self.of(i.sequence)}, " for i in op.items)
        extra = f"extra={op.extra}, " if op.extra else ""
        merges = not any(
            v.id in self.tainted and not (e and v.id in self.outputs_only)
            for v, e in [(c.arg, False) for c in carries] + [(e.out, True) for e in kept]
        )
        merge = "" if merges else ", merge=False"
        self.say(f'{steps} = run.steps({sequences}{extra}name="{op.name}"{merge})')
        carried = ", ".join(self.texts[c.arg.id] for c in carries)
        if carries:
            self.say(f"{carried} = {steps}.begin({carried})")
        items = []
        for item in op.items:
            if item.item.id in self.needed:
                self.texts[item.item.id] = self.names.free(item.item.name or "item")
            items.append(self.texts.get(item.item.id, "_"))
        if op.flag is not None:
            self.texts[op.flag.id] = f"{steps}.flag"
        self.say(f"for {', '.join(items) or '_'} in {steps}:")
        with self.inside():
            self.ops(op.body, id(op.body))
            for emit in kept:
                text = self.of(emit.value)
                if emit.value.id in self.tainted and emit.out.id in self.outputs_only:
                    text = f"run.mean({text}, {len(emit.value.type.shape)})"
                self.say(f"{lists[emit.name]}.append({text})")
            self._carry(carries, steps)
        if carries:
            ranks = tuple(len(c.arg.type.shape) for c in carries)
            more = "" if set(ranks) == {1} else f", ranks={ranks}"
            self.say(f"{steps}.end({carried}{more})")
        for emit in kept:
            rank = len(emit.value.type.shape)
            own = "" if rank == 1 else f", {rank}"
            name = self.names.free(emit.out.name or emit.name or "sequence")
            self.texts[emit.out.id] = name
            self.say(f"{name} = {steps}.stack({lists[emit.name]}{own})")

    def _carry(self, carries: list[LoopCarry], steps: str) -> None:
        changed = [c for c in carries if self.texts[c.next.id] != self.texts[c.arg.id]]
        pairs = []
        for carry in changed:
            name, rank = self.texts[carry.arg.id], len(carry.arg.type.shape)
            own = "" if rank == 1 else f", {rank}"
            pairs.append((name, f"{steps}.keep({name}, {self.of(carry.next)}{own})"))
        if len(pairs) == 1:
            self.say(f"{pairs[0][0]} = {pairs[0][1]}")
        elif pairs:
            new = [self.names.free(f"{name}_next") for name, _ in pairs]
            for name, (_, text) in zip(new, pairs, strict=True):
                self.say(f"{name} = {text}")
            self.say(f"{', '.join(n for n, _ in pairs)} = {', '.join(new)}")


def _head(text: str) -> str:
    """What a vector is called in a circuit: the layer or the weight that it comes from."""
    head = text.split("(", maxsplit=1)[0].split("[", maxsplit=1)[0]
    return head.rpartition(".")[2] or "a"


def needed(program: Program) -> set[int]:
    """Values that an output or an operation on qubits needs."""
    needed = {o.value.id for o in program.outputs}
    before = -1
    everything = list(walk(program.body))
    while before != len(needed):
        before = len(needed)
        for op in reversed(everything):
            out = getattr(op, "out", None)
            if isinstance(op, Loop):
                for carry in op.carries:
                    if {carry.out.id, carry.arg.id} & needed:
                        needed |= {carry.initial.id, carry.next.id, carry.arg.id}
                for emit in op.emits:
                    if emit.out.id in needed:
                        needed.add(emit.value.id)
                needed |= {i.sequence.id for i in op.items}
            elif (
                not isinstance(out, Value)
                or out.id in needed
                or isinstance(op, (Measure, Postselect))
            ):
                needed |= {v.id for v in uses(op)}
                if isinstance(out, Value):
                    needed.add(out.id)
            elif isinstance(op, Expect) and op.weak:
                needed.add(out.id)
    return needed

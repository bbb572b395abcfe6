"""The body of a program as Python: the loop on the host, a function for each piece of circuit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from qrlang.analysis.settings import measurement_settings
from qrlang.backends.braket.emit.classical import atom, expression, flat
from qrlang.backends.braket.emit.numbers import Names, Symbol, number, text_of
from qrlang.backends.braket.gates import NATIVE, Call, calls
from qrlang.circuits import AnyAngle, FlatGate, Product, pauli_rotation
from qrlang.circuits import flat as flat_gates
from qrlang.gates import CHANNELS
from qrlang.ir.program import (
    Alloc,
    Angle,
    Channel,
    Evolve,
    Expect,
    Free,
    If,
    Loop,
    Measure,
    Op,
    Postselect,
    Probabilities,
    Program,
    Reset,
    Unitary,
    Value,
)
from qrlang.ir.walk import uses, walk

Wire = str | int


@dataclass
class Space:
    """Qubits that meet: one growing circuit."""

    name: str
    first: int
    fixed: bool  # qubit k of it is always wire k
    live: set[int] = field(default_factory=set)


@dataclass
class Body:
    program: Program
    names: Names
    native: frozenset[str] = NATIVE
    texts: dict[int, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    pieces: list[list[str]] = field(default_factory=list)  # functions on circuits
    tables: list[list[str]] = field(default_factory=list)  # readouts
    known: dict[str, str] = field(default_factory=dict)
    words: dict[int, str] = field(default_factory=dict)  # qubits that only we know
    where: str = ""  # the loop we are in
    conditions: tuple[tuple[Value, int, bool], ...] = ()
    bits: dict[int, Space] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.spaces: dict[int, Space] = {}
        self.of_qubit: dict[int, Space] = {}
        floating = _floating(self.program)
        for r in self.program.registers:
            if r.space not in self.spaces:
                mine = [x for x in self.program.registers if x.space == r.space]
                wish = "circuit" if len({x.space for x in self.program.registers}) == 1 else (
                    r.name.rsplit(".", 1)[0])  # fmt: skip
                first = min(x.start for x in mine)
                self.spaces[r.space] = Space(self.names.free(wish), first, r.space not in floating)
            for q in range(r.start, r.start + r.size):
                self.of_qubit[q] = self.spaces[r.space]

    def say(self, line: str, depth: int) -> None:
        self.lines.append("    " * depth + line)

    # --- ops ------------------------------------------------------------------------------------

    def ops(self, ops: tuple[Op, ...], depth: int) -> None:
        gates: list[FlatGate] = []
        for op in ops:
            if isinstance(op, (Unitary, Evolve)):
                gates += flat_gates(op)
                continue
            if isinstance(op, Channel):
                gates.append(FlatGate(op.name, op.qubits, op.args))
                continue
            self.piece(gates, depth)
            gates = []
            self.op(op, depth)
        self.piece(gates, depth)

    def op(self, op: Op, depth: int) -> None:
        match op:
            case Loop():
                self.loop(op, depth)
            case If():
                before = self.conditions
                for value, ops in ((True, op.then), (False, op.orelse)):
                    if (op.condition, op.index, value) in before:  # in an `if` on the same bit
                        self.ops(ops, depth)
                    elif (op.condition, op.index, not value) not in before:
                        self.conditions = (*before, (op.condition, op.index, value))
                        self.ops(ops, depth)
                        self.conditions = before
            case Alloc():
                self.alloc(op, depth)
            case Free():
                for q in op.qubits:
                    self.of_qubit[q].live.discard(q)
            case Reset():
                for q in op.qubits:
                    self.reset(q, depth)
            case Postselect():
                space = self.of_qubit[op.qubits[0]]
                keys = ", ".join(self.key(q) for q in op.qubits)
                kept = f"np.reshape({space.name}.keep([{keys}], {list(op.bits)}), -1)"
                self.assign(op.out, kept, depth)
            case Measure():
                self.measure(op, depth)
            case Expect() if op.weak:
                self.weak(op, depth)
            case Expect():
                table = self.table(op)
                if _first(op) < 0:  # constants
                    said = ", ".join(number(sum(c for c, _ in o)) for o in op.observables)
                    self.assign(op.out, f"np.array([[{said}]])", depth)
                else:
                    name = self.of_qubit[_first(op)].name
                    self.assign(op.out, f"read({name}, {table}{_shots(op)})", depth)
            case Probabilities():
                space = self.of_qubit[op.qubits[0]]
                wires = ", ".join(self.key(q) for q in op.qubits)
                self.assign(op.out, f"distribution({space.name}, [{wires}]{_shots(op)})", depth)
            case _:
                self.assign(op.out, self.expression(op), depth)  # type: ignore[attr-defined]

    def expression(self, op: Op) -> str:
        return expression(op, [self.texts[v.id] for v in uses(op)])

    def assign(self, value: Value, text: str, depth: int) -> None:
        name = self.names.free(value.name or "v")
        self.texts[value.id] = name
        self.say(f"{name} = {text}", depth)

    def loop(self, op: Loop, depth: int) -> None:
        for carry in op.carries:
            self.texts[carry.arg.id] = self.names.free(carry.arg.name or "carry")
            self.say(f"{self.texts[carry.arg.id]} = {self.texts[carry.initial.id]}", depth)
        lists = []
        for emit in op.emits:
            lists.append(self.names.free(f"{emit.name or emit.out.name or 'seen'}"))
            self.say(f"{lists[-1]} = []", depth)
        steps = self.names.free("steps")
        first = self.texts[op.items[0].sequence.id] if op.items else ""
        self.say(f"{steps} = {first}.shape[1]" if first else f"{steps} = 0", depth)
        end = f"{steps} + {op.extra}" if op.extra else steps
        t = self.names.free("t")
        self.say(f"for {t} in range({end}):", depth)
        for item in op.items:
            sequence = self.texts[item.sequence.id]
            text = f"{sequence}[:, {t}]"
            if op.extra:
                text += f" if {t} < {steps} else np.zeros_like({sequence}[:, 0])"
            self.assign(item.item, text, depth + 1)
        if op.flag is not None:
            self.assign(op.flag, f"np.array([float({t} >= {steps})])", depth + 1)
        outside, self.where = self.where, op.name
        self.ops(op.body, depth + 1)
        self.where = outside
        for emit, name in zip(op.emits, lists, strict=True):
            self.say(f"{name}.append({self.number(emit.value)})", depth + 1)
        if op.carries:
            left = ", ".join(self.texts[c.arg.id] for c in op.carries)
            right = ", ".join(self.number(c.next) for c in op.carries)
            self.say(f"{left} = {right}", depth + 1)
        for carry in op.carries:
            self.texts[carry.out.id] = self.texts[carry.arg.id]
        for emit, name in zip(op.emits, lists, strict=True):
            self.texts[emit.out.id] = name
            self.say(f"{name} = sequence({name})", depth)

    # --- qubits ---------------------------------------------------------------------------------

    def key(self, qubit: int) -> str:
        """A qubit within its circuit."""
        return str(qubit - self.of_qubit[qubit].first)

    def alloc(self, op: Alloc, depth: int) -> None:
        by_space: dict[int, list[int]] = {}
        for q in op.qubits:
            by_space.setdefault(id(self.of_qubit[q]), []).append(q)
        for qubits in by_space.values():
            space = self.of_qubit[qubits[0]]
            if not space.live:
                self.say(f"{space.name} = Growing()", depth)
            space.live |= set(qubits)
            keys = [int(self.key(q)) for q in qubits]
            run = keys == list(range(keys[0], keys[0] + len(keys)))
            listed = f"range({keys[0]}, {keys[-1] + 1})" if run else str(keys)
            mixed = ", mixed=True" if op.mixed else ""
            self.say(f"{space.name}.begin({listed.replace('range(0, ', 'range(')}{mixed})", depth)

    def measure(self, op: Measure, depth: int) -> None:
        if self.conditions:
            raise ValueError("a measurement under a measured bit has no form here")
        space = self.of_qubit[op.qubits[0]]
        self.bits[op.out.id] = space
        self.texts[op.out.id] = ""
        for i, q in enumerate(op.qubits):
            self.say(f"{space.name}.measure({self.key(q)}, {_bit(op.out, i)})", depth)

    def reset(self, qubit: int, depth: int) -> None:
        space = self.of_qubit[qubit]
        if not self.conditions:
            self.say(f"{space.name}.reset({self.key(qubit)})", depth)
            return
        # Under measured bits the qubit and a fresh one are exchanged where they say so.
        self.say(f'{space.name}.begin(["fresh"])', depth)
        self.words[-1] = '"fresh"'
        self.one_piece([FlatGate("swap", (qubit, -1))], depth)

    def weak(self, op: Expect, depth: int) -> None:
        """Each word turns an ancilla a little, and the Y of that is the readout."""
        parts: list[str] = []
        for i, observable in enumerate(op.observables):
            for j, (factor, string) in enumerate(observable):
                if not string:
                    parts.append(f"({i}, {number(factor)}, [])")
                    continue
                space = self.of_qubit[string[0][0]]
                name = f'"ancilla{op.out.id}_{i}_{j}"'
                self.say(f"{space.name}.begin([{name}])", depth)
                # -1 sorts before all qubits, which is where the word of a rotation has it
                self.words[-1] = name
                word = ((-1, "X"), *string)
                turn = list(pauli_rotation(word, Angle(op.weak)))
                turn += [FlatGate("sdg", (-1,)), FlatGate("h", (-1,))]
                self.one_piece(turn, depth, space)
                parts.append(f"({i}, {number(-factor / math.sin(op.weak))}, [{name}])")
        first = _first(op)
        if first < 0:
            said = ", ".join(number(sum(c for c, _ in o)) for o in op.observables)
            self.assign(op.out, f"np.array([[{said}]])", depth)
            return
        table = f"({len(op.observables)}, [({{}}, [{', '.join(parts)}])])"
        self.assign(op.out, f"read({self.of_qubit[first].name}, {table}{_shots(op)})", depth)

    def number(self, value: Value) -> str:
        """A value that leaves the model; of a measured bit its average."""
        if value.id not in self.bits:
            return self.texts[value.id]
        space = self.bits[value.id]
        keys = ", ".join(_bit(value, i) for i in range(value.type.count))
        text = f"average({space.name}, [{keys}])"
        return text if value.type.shape else f"{text}[:, 0]"

    # --- pieces of circuit ----------------------------------------------------------------------

    def piece(self, gates: list[FlatGate], depth: int) -> None:
        apart: dict[int, list[FlatGate]] = {}
        for g in gates:
            touched = (*g.controls, *g.zeros, *g.qubits)
            if touched:
                apart.setdefault(id(self.of_qubit[touched[0]]), []).append(g)
        for mine in apart.values():
            self.one_piece(mine, depth)

    def one_piece(self, gates: list[FlatGate], depth: int, space: Space | None = None) -> None:
        first = (*gates[0].controls, *gates[0].zeros, *gates[0].qubits)[0]
        space = space or self.of_qubit[first]
        slots: dict[AnyAngle, int] = {}
        lines: list[str] = []
        for g in gates:
            angles: list[object] = []
            for a in g.angles:
                if isinstance(a, Angle) and not a.terms:
                    angles.append(a.constant)
                else:
                    angles.append(Symbol(f"a[{slots.setdefault(a, len(slots))}]"))
            lines += [self.line(call) for call in self.lowered(g, angles, space)]
        several = len(self.spaces) > 1
        wish = f"{self.where}_{space.name}" if several and self.where else (
            self.where or (space.name if several else "begin"))  # fmt: skip
        name = self.names.free(f"{wish}_gates")
        arguments = ["circuit"] + ([] if space.fixed else ["q"]) + (["a"] if slots else [])
        head = f"def {name}({', '.join(arguments)}):"
        self.pieces.append([head, *("    " + line for line in lines or ["pass"])])
        columns = list(self.columns(list(slots)))
        given = f", {columns[0]}" if len(columns) == 1 else f", angles({', '.join(columns)})"
        if len(columns) == 1 and len(slots) == 1:
            given = f", angles({columns[0]})"  # one number, not a vector
        line = f"{space.name}.add({name}{given if slots else ''})"
        if 4 * depth + len(line) <= 100:
            self.say(line, depth)
            return
        self.say(f"{space.name}.add({name}, angles(", depth)
        for column in columns:
            self.say(f"{column},", depth + 1)
        self.say("))", depth)

    def lowered(self, g: FlatGate, angles: list[object], space: Space) -> Iterator[Call]:
        def wire(q: int) -> Wire:
            if q in self.words:
                return f"q[{self.words[q]}]"
            return self.key(q) if space.fixed else f"q[{self.key(q)}]"

        if g.name in CHANNELS:
            wires = tuple(wire(q) for q in g.qubits)
            yield Call(CHANNELS[g.name].braket, wires, tuple(angles))  # type: ignore[arg-type]
            return
        on = [f"q[{_bit(v, i)}]" for v, i, wanted in self.conditions if wanted]
        off = [f"q[{_bit(v, i)}]" for v, i, wanted in self.conditions if not wanted]
        # `calls` only hands the qubits on: here they are words.
        yield from calls(
            g.name,
            [wire(q) for q in g.qubits],  # type: ignore[misc]
            angles,
            [*(wire(q) for q in g.controls), *on],  # type: ignore[list-item]
            [*(wire(q) for q in g.zeros), *off],  # type: ignore[list-item]
            self.native,
        )

    def line(self, call: Call) -> str:
        return _line(call)

    def columns(self, angles: list[AnyAngle]) -> Iterator[str]:
        """Angles in order; elements of one vector in a row as a slice."""
        start = 0
        while start < len(angles):
            end = start + 1
            while end < len(angles) and _follows(angles[end - 1], angles[end]):
                end += 1
            first = angles[start]
            if end - start > 1 and isinstance(first, Angle):
                [term] = first.terms
                x = atom(flat(self.texts[term.value.id], term.value))
                last = term.index + end - start
                whole = (term.index, last) == (0, term.value.type.count)
                text = x if whole else f"{x}[:, {term.index}:{last}]"
                yield _affine([(term.coefficient, text)], first.constant)
            else:
                yield self.angle(first)
            start = end

    def angle(self, angle: AnyAngle) -> str:
        if isinstance(angle, Product):
            factor = "" if angle.factor == 1 else f"{number(angle.factor)} * "
            return f"{factor}{atom(self.angle(angle.a))} * {atom(self.angle(angle.b))}"
        terms = []
        for t in angle.terms:
            text = self.texts[t.value.id]
            if t.value.type.shape:
                text = f"{atom(flat(text, t.value))}[:, {t.index}]"
            terms.append((t.coefficient, text))
        return _affine(terms, angle.constant)

    # --- readouts -------------------------------------------------------------------------------

    def table(self, op: Expect) -> str:
        """A constant: for each setting its basis, and the words (readout, factor, qubits) of it."""
        settings = measurement_settings(op)
        rows: list[tuple[str, list[str]]] = []
        for setting in settings:
            basis = ", ".join(f'{self.key(q)}: "{p}"' for q, p in setting.basis if p != "Z")
            words = []
            for i, j in setting.words:
                factor, string = op.observables[i][j]
                on = ", ".join(self.key(q) for q, _ in string)
                words.append(f"({i}, {number(factor)}, [{on}])")
            rows.append((f"{{{basis}}}", words))
        constants = [
            f"({i}, {number(c)}, [])" for i, o in enumerate(op.observables) for c, s in o if not s
        ]
        if rows:
            rows[0][1].extend(constants)
        lines = [f"({len(op.observables)}, ["]
        for basis, words in rows:
            lines.append(f"    ({basis}, [{', '.join(words)}]),")
        key = "\n".join([*lines, "])"])
        if key not in self.known:
            self.known[key] = self.names.free((op.out.name or "readout").upper())
            first, *rest = key.splitlines()
            self.tables.append([f"{self.known[key]} = {first}", *rest])
        return self.known[key]


def _shots(op: Expect | Probabilities) -> str:
    return f", shots={op.shots}" if op.shots else ""


def _first(op: Expect) -> int:
    return next((q for o in op.observables for _, s in o for q, _ in s), -1)


def _bit(value: Value, index: int) -> str:
    return f'"{value.name or "bit"}{value.id}_{index}"'


def _line(call: Call) -> str:
    return f"circuit.{call.name}({', '.join([*map(str, call.qubits), *map(text_of, call.angles)])})"


def _follows(a: AnyAngle, b: AnyAngle) -> bool:
    """Whether b is the element after a."""
    if isinstance(a, Product) or isinstance(b, Product) or len(a.terms) != 1 or len(b.terms) != 1:
        return False
    x, y = a.terms[0], b.terms[0]
    return (
        a.constant == b.constant
        and (x.coefficient, x.value) == (y.coefficient, y.value)
        and y.index == x.index + 1
    )


def _affine(terms: Iterable[tuple[float, str]], constant: float) -> str:
    parts = [t if c == 1 else f"{number(c)} * {atom(t)}" for c, t in terms]
    if constant:
        parts.append(number(constant))
    return " + ".join(parts).replace("+ -", "- ")


def _floating(program: Program) -> set[int]:
    """Spaces whose qubits move to other wires: by a reset, a measurement, or a life that ends
    while others go on."""
    space = {q: r.space for r in program.registers for q in range(r.start, r.start + r.size)}
    first = {
        s: min(r.start for r in program.registers if r.space == s) for s in set(space.values())
    }
    found: set[int] = set()
    live: dict[int, int] = {}  # how many wires a space has used
    alive: dict[int, set[int]] = {}
    for op in walk(program.body):
        match op:
            case Alloc():
                for q in op.qubits:
                    s = space[q]
                    if not alive.get(s):
                        live[s] = 0
                    if live[s] != q - first[s] or op.mixed:
                        found.add(s)
                    live[s] += 1
                    alive.setdefault(s, set()).add(q)
            case Free():
                for q in op.qubits:
                    alive[space[q]].discard(q)
            case Expect() if op.weak:
                found.update(space[q] for o in op.observables for _, s in o for q, _ in s)
            case Reset() | Measure() | Postselect():
                found.update(space[q] for q in op.qubits)
    # What begins in a loop and outlives it would begin a second time.
    for loop in walk(program.body):
        if isinstance(loop, Loop):
            begun: set[int] = set()
            for op in walk(loop.body):
                if isinstance(op, Alloc):
                    if any(alive_outside(program, loop, space, space[q]) for q in op.qubits):
                        found.update(space[q] for q in op.qubits)
                    begun |= set(op.qubits)
    return found


def alive_outside(program: Program, loop: Loop, space: dict[int, int], wanted: int) -> bool:
    """Whether a space has qubits that begin outside a loop."""
    inside = {id(op) for op in walk(loop.body)}
    return any(
        isinstance(op, Alloc)
        and id(op) not in inside
        and any(space[q] == wanted for q in op.qubits)
        for op in walk(program.body)
    )

"""The body of a program as Python: the loop on the host, a function for each piece of circuit.

How a gate is called, and what becomes of one under a measured bit, is the vendor's: see `Body`'s
abstract methods.
"""

from __future__ import annotations

import math
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Iterator

from qrlang.analysis.circuits import AnyAngle, FlatGate, pauli_rotation
from qrlang.analysis.circuits import flat as flat_gates
from qrlang.analysis.settings import measurement_settings
from qrlang.backends.emit.arrays import Arrays
from qrlang.backends.emit.columns import angle_text, columns
from qrlang.backends.emit.names import Names
from qrlang.backends.emit.spaces import Space, spaces_of
from qrlang.backends.emit.text import Symbol, number
from qrlang.hardware.evolution import parts_of, words_of
from qrlang.ir.program import (
    Alloc,
    Angle,
    ApplyMatrix,
    Channel,
    Evolve,
    Expect,
    Free,
    If,
    Loop,
    Measure,
    Op,
    Postselect,
    Prepare,
    Probabilities,
    Program,
    Reset,
    Unitary,
    Value,
)
from qrlang.ir.walk import qubits_of, uses

Condition = tuple[Value, int, bool]  # a bit of a measured value, and which it has to be


class Body(ABC):
    def __init__(self, program: Program, names: Names) -> None:
        self.names = names
        self.of_qubit = spaces_of(program, names.free)
        self.several = len({id(s) for s in self.of_qubit.values()}) > 1
        self.expressions = Arrays()
        self.texts: dict[int, str] = {}  # what a value is called
        self.lines: list[str] = []
        self.pieces: list[list[str]] = []  # functions on circuits
        self.functions: dict[str, str] = {}  # the names of those
        self.tables: list[list[str]] = []  # readouts
        self.known: dict[str, str] = {}
        self.words: dict[int, str] = {}  # qubits that only we know
        self.where = ""  # the loop we are in
        self.conditions: tuple[Condition, ...] = ()
        self.bits: dict[int, Space] = {}  # measured values

    # --- the vendor's ---------------------------------------------------------------------------

    @abstractmethod
    def gate(self, g: FlatGate, angles: list[object], space: Space) -> Iterator[str]:
        """A gate, or a noise channel, as lines of a function on `circuit`."""

    @abstractmethod
    def guarded(self, lines: list[str]) -> list[str]:
        """Lines under the measured bits of `conditions`."""

    @abstractmethod
    def reset(self, qubit: int, depth: int) -> None: ...

    @abstractmethod
    def ancilla(self, readout: str) -> str:
        """The qubit that a word of a weak readout turns."""

    @abstractmethod
    def weak_word(self, space: Space, ancilla: str, bit: str, depth: int) -> str:
        """Measures the ancilla of a weak readout; how `read` finds the outcome."""

    # --- text -----------------------------------------------------------------------------------

    def say(self, line: str, depth: int) -> None:
        self.lines.append("    " * depth + line)

    def assign(self, value: Value, text: str, depth: int) -> None:
        name = self.names.free(value.name or "v")
        self.texts[value.id] = name
        self.say(f"{name} = {text}", depth)

    def wire(self, qubit: int, space: Space) -> str:
        """A qubit in a piece of circuit."""
        if qubit in self.words:
            return f"q[{self.words[qubit]}]"
        key = str(space.key(qubit))
        return key if space.fixed else f"q[{key}]"

    # --- ops ------------------------------------------------------------------------------------

    def ops(self, ops: tuple[Op, ...], depth: int) -> None:
        gates: list[FlatGate] = []
        for op in ops:
            if isinstance(op, Unitary):
                gates += flat_gates(op)
                continue
            if isinstance(op, Channel):
                gates.append(FlatGate(op.name, op.qubits, op.args))
                continue
            if isinstance(op, Evolve):
                simple, wide = parts_of(op)
                for part in simple:
                    gates += flat_gates(part)
                if wide:
                    self.piece(gates, depth)
                    gates = []
                for part in wide:
                    self.evolution(part, depth)
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
                self.branch(op, depth)
            case Alloc():
                self.alloc(op, depth)
            case Free():
                for q in op.qubits:
                    self.of_qubit[q].live.discard(q)
            case Reset():
                for q in op.qubits:
                    self.reset(q, depth)
            case Prepare():
                angles = f"state_angles({self.texts[op.amplitudes.id]})"
                self.block("prepare", op.qubits, angles, depth)
            case ApplyMatrix():
                self.matrix(op, depth)
            case Postselect():
                space = self.of_qubit[op.qubits[0]]
                keys = ", ".join(str(space.key(q)) for q in op.qubits)
                kept = f"np.reshape({space.name}.keep([{keys}], {list(op.bits)}), -1)"
                self.assign(op.out, kept, depth)
            case Measure():
                self.measure(op, depth)
            case Expect():
                self.expect(op, depth)
            case Probabilities():
                space = self.of_qubit[op.qubits[0]]
                wires = ", ".join(str(space.key(q)) for q in op.qubits)
                self.assign(op.out, f"distribution({space.name}, [{wires}]{_shots(op)})", depth)
            case _:
                text = self.expressions.text(op, [self.texts[v.id] for v in uses(op)])
                self.assign(op.out, text, depth)  # type: ignore[attr-defined]

    def branch(self, op: If, depth: int) -> None:
        before = self.conditions
        for value, ops in ((True, op.then), (False, op.orelse)):
            if (op.condition, op.index, value) in before:  # in an `if` on the same bit
                self.ops(ops, depth)
            elif (op.condition, op.index, not value) not in before:
                self.conditions = (*before, (op.condition, op.index, value))
                self.ops(ops, depth)
                self.conditions = before

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

    def alloc(self, op: Alloc, depth: int) -> None:
        by_space: dict[int, list[int]] = {}
        for q in op.qubits:
            by_space.setdefault(id(self.of_qubit[q]), []).append(q)
        for qubits in by_space.values():
            space = self.of_qubit[qubits[0]]
            if not space.live:
                self.say(f"{space.name} = Growing()", depth)
            space.live |= set(qubits)
            keys = [space.key(q) for q in qubits]
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
            self.say(f"{space.name}.measure({space.key(q)}, {bit_name(op.out, i)})", depth)

    def number(self, value: Value) -> str:
        """A value that leaves the model; of a measured bit its average."""
        if value.id not in self.bits:
            return self.texts[value.id]
        space = self.bits[value.id]
        keys = ", ".join(bit_name(value, i) for i in range(value.type.count))
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
            first = (*mine[0].controls, *mine[0].zeros, *mine[0].qubits)[0]
            self.one_piece(mine, self.of_qubit[first], depth)

    def one_piece(self, gates: list[FlatGate], space: Space, depth: int) -> None:
        slots: dict[AnyAngle, int] = {}
        lines: list[str] = []
        for g in gates:
            angles: list[object] = []
            for a in g.angles:
                if isinstance(a, Angle) and not a.terms:
                    angles.append(a.constant)
                else:
                    angles.append(Symbol(f"a[{slots.setdefault(a, len(slots))}]"))
            lines += self.gate(g, angles, space)
        wish = f"{self.where}_{space.name}" if self.several and self.where else (
            self.where or (space.name if self.several else "begin"))  # fmt: skip
        given = list(columns(list(slots), self.texts))
        if len(given) == 1 and len(slots) > 1:
            self.added(wish, lines, given[0], space, depth)
        elif given:
            self.added(wish, lines, f"angles({', '.join(given)})", space, depth, given)
        else:
            self.added(wish, lines, "", space, depth)

    def added(
        self, wish: str, lines: list[str], angles: str, space: Space, depth: int,
        parts: list[str] | None = None,
    ) -> None:  # fmt: skip
        """A function of these lines, and the statement that adds it to the circuit."""
        arguments = ["circuit"] + ([] if space.fixed else ["q"]) + (["a"] if angles else [])
        body = ["    " + line for line in self.guarded(lines or ["pass"])]
        head = f"({', '.join(arguments)}):"
        name = self.functions.get("\n".join([head, *body]))
        if name is None:  # such a piece has not been written yet
            name = self.names.free(f"{wish}_gates")
            self.functions["\n".join([head, *body])] = name
            self.pieces.append([f"def {name}{head}", *body])
        line = f"{space.name}.add({name}{f', {angles}' if angles else ''})"
        if 4 * depth + len(line) <= 100 or not parts:
            self.say(line, depth)
            return
        self.say(f"{space.name}.add({name}, angles(", depth)
        for part in parts:
            self.say(f"{part},", depth + 1)
        self.say("))", depth)

    def block(self, kind: str, qubits: tuple[int, ...], angles: str, depth: int) -> None:
        """A state or a unitary that is only known when the model runs."""
        space = self.of_qubit[qubits[0]]
        on = ", ".join(self.wire(q, space) for q in qubits)
        wish = f"{self.where}_{kind}" if self.where else kind
        lines = [f"play(circuit, {kind}([{on}], a))"]
        self.added(wish, lines, angles, space, depth)

    def matrix(self, op: ApplyMatrix, depth: int) -> None:
        text = self.texts[op.matrix.id]
        if op.adjoint:
            text = f"np.conj(np.swapaxes({text}, -1, -2))"
        if not (op.controls or op.zeros):
            self.block("unitary", op.qubits, f"unitary_angles({text})", depth)
            return
        space = self.of_qubit[op.qubits[0]]
        ones, zeros, on = (
            f"[{', '.join(self.wire(q, space) for q in qubits)}]"
            for qubits in (op.controls, op.zeros, op.qubits)
        )
        wish = f"{self.where}_controlled" if self.where else "controlled"
        controls = len(op.controls), len(op.zeros)
        self.added(
            wish, [f"play(circuit, controlled({ones}, {zeros}, {on}, a))"],
            f"controlled_angles({text}, {controls[0]}, {controls[1]})", space, depth,
        )  # fmt: skip

    def evolution(self, op: Evolve, depth: int) -> None:
        """Exactly, under terms that do not commute: as one unitary."""
        qubits, words = qubits_of(op), words_of(op)
        listed = " ".join(words)
        lines = [f'    "{line} "' for line in textwrap.wrap(listed, 88)]
        said = ["(", *lines, ").split()"] if len(lines) > 1 else [f'"{listed}".split()']
        terms = self.constant("terms", said)
        energies = self.names.free("energies")
        parts = ", ".join(columns([a for a, _ in op.terms], self.texts))
        self.say(f"{energies} = angles({parts})", depth)
        time = f"angles({angle_text(op.time, self.texts)})"
        self.block(
            "unitary", qubits, f"unitary_angles(evolved({terms}, {energies}, {time}))", depth
        )

    # --- readouts -------------------------------------------------------------------------------

    def expect(self, op: Expect, depth: int) -> None:
        first = next((q for o in op.observables for _, s in o for q, _ in s), -1)
        if first < 0:  # constants
            said = ", ".join(number(sum(c for c, _ in o)) for o in op.observables)
            self.assign(op.out, f"np.array([[{said}]])", depth)
            return
        table = self.weak(op, depth) if op.weak else self.table(op)
        self.assign(op.out, f"read({self.of_qubit[first].name}, {table}{_shots(op)})", depth)

    def weak(self, op: Expect, depth: int) -> str:
        """Each word turns an ancilla a little, and the Y of that is the readout."""
        parts: list[str] = []
        for i, observable in enumerate(op.observables):
            for j, (factor, string) in enumerate(observable):
                if not string:
                    parts.append(f"({i}, {number(factor)}, [])")
                    continue
                space = self.of_qubit[string[0][0]]
                # -1 sorts before all qubits, which is where the word of a rotation has it
                name = self.words[-1] = self.ancilla(f"{op.out.id}_{i}_{j}")
                self.say(f"{space.name}.begin([{name}])", depth)
                turn = list(pauli_rotation(((-1, "X"), *string), Angle(op.weak)))
                turn += [FlatGate("sdg", (-1,)), FlatGate("h", (-1,))]
                self.one_piece(turn, space, depth)
                found = self.weak_word(space, name, f'"weak{op.out.id}_{i}_{j}"', depth)
                parts.append(f"({i}, {number(-factor / math.sin(op.weak))}, [{found}])")
        rows = [f"    ({{}}, [{parts[0]},", *(f"          {part}," for part in parts[1:])]
        rows[-1] = rows[-1][:-1] + "]),"
        lines = [f"({len(op.observables)}, [", *rows, "])"]
        return self.constant(op.out.name or "readout", lines)

    def table(self, op: Expect) -> str:
        """A constant: for each setting its basis, and the words (readout, factor, qubits) of it."""

        def key(q: int) -> int:
            return self.of_qubit[q].key(q)

        rows: list[tuple[str, list[str]]] = []
        for setting in measurement_settings(op):
            basis = ", ".join(f'{key(q)}: "{p}"' for q, p in setting.basis if p != "Z")
            words = []
            for i, j in setting.words:
                factor, string = op.observables[i][j]
                on = ", ".join(str(key(q)) for q, _ in string)
                words.append(f"({i}, {number(factor)}, [{on}])")
            rows.append((f"{{{basis}}}", words))
        rows[0][1].extend(
            f"({i}, {number(c)}, [])" for i, o in enumerate(op.observables) for c, s in o if not s
        )
        lines = [f"({len(op.observables)}, ["]
        for basis, words in rows:
            lines.append(f"    ({basis}, [{', '.join(words)}]),")
        return self.constant(op.out.name or "readout", [*lines, "])"])

    def constant(self, wish: str, lines: list[str]) -> str:
        """What stands above the functions, each once."""
        key = "\n".join(lines)
        if key not in self.known:
            name = self.known[key] = self.names.free(wish.upper())
            self.tables.append([f"{name} = {lines[0]}", *lines[1:]])
        return self.known[key]


def bit_name(value: Value, index: int) -> str:
    return f'"{value.name or "bit"}{value.id}_{index}"'


def _shots(op: Expect | Probabilities) -> str:
    return f", shots={op.shots}" if op.shots else ""

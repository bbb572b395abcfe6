"""One circuit as OpenQASM 3. The classical part stays with the host: each distinct angle is an
input, and the head of the text says how to compute it.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from qrlang.analysis.circuits import AnyAngle, Circuit, FlatGate, Product, flat
from qrlang.backends.qasm.dialects import DIALECTS, Dialect, Written
from qrlang.gates import GATES, SUGAR
from qrlang.ir.program import (
    Alloc,
    Angle,
    Channel,
    Evolve,
    Expect,
    Free,
    If,
    Measure,
    Observable,
    Op,
    Probabilities,
    Reset,
    Term,
    Unitary,
    Value,
)
from qrlang.ir.walk import walk


@dataclass(frozen=True, slots=True)
class Text:
    """The emitted text, and the inputs it asks for, in order of first use."""

    source: str
    inputs: tuple[tuple[str, AnyAngle], ...]


# Words that a register may not be called: those of the language, of both tools, and our own.
_WORDS = """
    angle array barrier bit bool box break cal case complex const continue creg ctrl def default
    defcal defcalgrammar delay duration durationof else end euler extern false float for gate
    gphase if im in include inf input int inv let measure mutable nan negctrl nop opaque output
    pi pow pragma qreg qubit readonly reset return sin cos tan exp log sqrt arccos arcsin arctan
    ceiling floor mod popcount rotl rotr sizeof stretch switch tau true uint void while bits b q
    u u1 u2 u3 u U cu phase cphase result verbatim openqasm
"""
_RESERVED = frozenset(_WORDS.split())


def identifiers(names: list[str], taken: frozenset[str]) -> list[str]:
    """Distinct names that every tool accepts, as close to the given ones as can be."""
    out: list[str] = []
    for name in names:
        plain = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")
        ours = re.fullmatch(r"theta_\d+", plain)
        if ours or not re.match(r"[a-z]", plain) or plain in _RESERVED or plain in taken:
            plain = f"reg_{plain}".rstrip("_")
        unique, k = plain, 1
        while unique in out:
            k += 1
            unique = f"{plain}_{k}"
        out.append(unique)
    return out


@dataclass
class _Printer:
    circuit: Circuit
    dialect: Dialect
    lines: list[str] = field(default_factory=list)
    inputs: dict[AnyAngle, str] = field(default_factory=dict)
    needs: dict[str, None] = field(default_factory=dict)
    bits: dict[int, int] = field(default_factory=dict)  # first bit of a measured value
    qubits: dict[int, str] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        gates = {w.name for d in DIALECTS.values() for w in d.gates.values()}
        taken = frozenset(gates | GATES.keys() | SUGAR.keys())
        registers = self.circuit.registers
        self.names = identifiers([r.name for r in registers], taken)
        for register, name in zip(registers, self.names, strict=True):
            for i in range(register.size):
                self.qubits[register.start + i] = f"{name}[{i}]"

    # Angles.

    def angle(self, angle: AnyAngle) -> str:
        if isinstance(angle, Angle) and not angle.terms:
            return number(angle.constant)
        if angle not in self.inputs:
            self.inputs[angle] = f"theta_{len(self.inputs)}"
        return self.inputs[angle]

    # Gates.

    def gate(self, gate: FlatGate, indent: str) -> None:
        self.used.update((*gate.controls, *gate.zeros, *gate.qubits))
        if gate.zeros and not self.dialect.has_negctrl:
            flips = [FlatGate("x", (q,)) for q in gate.zeros]
            inner = replace(gate, controls=gate.zeros + gate.controls, zeros=())
            for part in (*flips, inner, *flips):
                self.gate(part, indent)
            return
        if gate.name in self.dialect.conjugated:
            outer, name = self.dialect.conjugated[gate.name]
            around = FlatGate(outer, gate.qubits[-1:])
            for part in (around, replace(gate, name=name), around):
                self.gate(part, indent)
            return
        self.lines.append(indent + self.call(gate) + ";")

    def call(self, gate: FlatGate) -> str:
        angles = [self.angle(a) for a in gate.angles]
        named, written = self.written(gate.name, len(gate.controls))
        self.needs.update(dict.fromkeys(written.needs))
        more = len(gate.controls) - named
        prefix = _modifier("negctrl", len(gate.zeros)) + _modifier("ctrl", more)
        operands = (*gate.zeros, *gate.controls, *gate.qubits)
        return (
            prefix
            + written.name
            + _arguments(written, angles)
            + " "
            + ", ".join(self.qubits[q] for q in operands)
        )

    def written(self, name: str, controls: int) -> tuple[int, Written]:
        """How to write a gate, and how many of its controls are part of that name."""
        d = self.dialect
        for named in range(controls, -1, -1):
            found = d.gates.get((name, named))
            if found and (named == controls or d.controls_definitions or not found.needs):
                return named, found
        raise ValueError(f"the gate {name} has no name in the dialect {d.name}")

    # Ops.

    def ops(self, ops: tuple[Op, ...], indent: str = "") -> None:
        for op in ops:
            self.op(op, indent)

    def op(self, op: Op, indent: str) -> None:
        match op:
            case Unitary() | Evolve():
                for gate in flat(op):
                    self.gate(gate, indent)
            case Reset():
                self.used.update(op.qubits)
                self.lines += [f"{indent}reset {self.qubits[q]};" for q in op.qubits]
            case Measure():
                self.used.update(op.qubits)
                first = self.bits[op.out.id]
                self.lines += [
                    f"{indent}bits[{first + i}] = measure {self.qubits[q]};"
                    for i, q in enumerate(op.qubits)
                ]
            case Channel():
                args = ", ".join(number(a.constant) for a in op.args)
                on = ", ".join(self.qubits[q] for q in op.qubits)
                self.used.update(op.qubits)
                self.lines.append(
                    f"{indent}#pragma braket noise {self.dialect.noise[op.name]}({args}) {on}"
                )
            case If():
                bit = f"bits[{self.bits[op.condition.id] + op.index}]"
                if op.then:
                    self.lines.append(f"{indent}if ({bit}) {{")
                    self.ops(op.then, indent + "  ")
                    if op.orelse:
                        self.lines.append(f"{indent}}} else {{")
                        self.ops(op.orelse, indent + "  ")
                else:
                    self.lines.append(f"{indent}if ({bit} == false) {{")
                    self.ops(op.orelse, indent + "  ")
                self.lines.append(f"{indent}}}")
            case Expect():
                said = ", ".join(self.observable(o) for o in op.observables)
                self.comment(f"read{_named(op.out)}: {said}", indent)
            case Probabilities():
                said = ", ".join(self.qubits[q] for q in op.qubits)
                self.comment(f"read{_named(op.out)}: the distribution of {said}", indent)
            case Alloc() | Free():
                pass  # qubits begin in |0⟩ here as well, and end with the text
            case _:
                raise ValueError(f"{type(op).__name__} has no OpenQASM form")

    def observable(self, observable: Observable) -> str:
        parts = []
        for coefficient, string in observable:
            word = "*".join(f"{p}({self.qubits[q]})" for q, p in string) or "1"
            parts.append(word if coefficient == 1 else f"{coefficient:.12g}*{word}")
        return " + ".join(parts) or "0"

    def comment(self, text: str, indent: str = "") -> None:
        self.lines += comment(text, indent)

    def idle(self) -> list[str]:
        """Keeps the register whole where a tool leaves out qubits that nothing touches."""
        if not self.dialect.drops_idle_qubits:
            return []
        left = [q for q in self.circuit.qubits if q not in self.used]
        return [f"i {self.qubits[q]};" for q in left]


def emit(
    circuit: Circuit,
    dialect: Dialect,
    title: str,
    head: list[str],
    names: Mapping[int, str],
    basis: tuple[tuple[int, str], ...] | None = None,
) -> Text:
    """The text of a circuit. With `basis`, all qubits are measured at the end, those named in it
    in the basis of X or Y."""
    p = _Printer(circuit, dialect)
    count = 0
    for op in walk(circuit.ops):
        if isinstance(op, Measure):
            p.bits[op.out.id] = count
            count += len(op.qubits)
    p.ops(circuit.ops)
    if basis is not None:
        for q, letter in basis:
            for name in {"X": ("h",), "Y": ("sdg", "h")}.get(letter, ()):
                p.gate(FlatGate(name, (q,)), "")
        for i, q in enumerate(circuit.qubits):
            p.lines.append(f"bits[{count + i}] = measure {p.qubits[q]};")
        count += len(circuit.qubits)
    else:
        p.lines += p.idle()

    out = comment(title) + [line for text in head for line in comment(text)]
    if p.inputs:
        out.append("//")
        out.append("// The host computes these angles before each run:")
        for line in mapping(p.inputs, names):
            out += comment(f"  {line}", hang="        ")
    out += ["OPENQASM 3.0;", *dialect.includes]
    out += [f"input {dialect.input_type} {name};" for name in p.inputs.values()]
    out += [dialect.definitions[name] for name in p.needs]
    out += [f"qubit[{r.size}] {name};" for r, name in zip(circuit.registers, p.names, strict=True)]
    if count:
        out.append(f"bit[{count}] bits;")
    return Text("\n".join(out + p.lines) + "\n", tuple((n, a) for a, n in p.inputs.items()))


def _modifier(word: str, count: int) -> str:
    if count == 0:
        return ""
    return f"{word} @ " if count == 1 else f"{word}({count}) @ "


def _arguments(written: Written, angles: list[str]) -> str:
    if not angles and not written.angles:
        return ""
    inner = written.angles.format(*angles) if written.angles else ", ".join(angles)
    return f"({inner.replace('--', '')})"


def number(x: float) -> str:
    if not math.isfinite(x):
        raise ValueError(f"an angle of the program is {x}")
    return repr(float(x))


def comment(text: str, indent: str = "", hang: str = "  ") -> list[str]:
    lead = indent + "// "
    return textwrap.wrap(
        text,
        100,
        initial_indent=lead,
        subsequent_indent=lead + hang,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def _named(value: Value) -> str:
    return f" {value.name}" if value.name else ""


def mapping(inputs: Mapping[AnyAngle, str], names: Mapping[int, str]) -> Iterator[str]:
    """`theta_0 = w[0]`; inputs that are elements of one value in a row share a line."""
    rows = list(inputs.items())
    start = 0
    while start < len(rows):
        end = start + 1
        while end < len(rows) and _follows(rows[end - 1][0], rows[end][0]):
            end += 1
        first, last = rows[start], rows[end - 1]
        if end - start > 2:
            yield (
                f"{first[1]} … {last[1]} = {describe(first[0], names)} … "
                f"{describe(last[0], names)}, in order"
            )
            start = end
        else:
            yield f"{first[1]} = {describe(first[0], names)}"
            start += 1


def _follows(a: AnyAngle, b: AnyAngle) -> bool:
    """Whether b is the element after a."""
    if isinstance(a, Product) or isinstance(b, Product) or len(a.terms) != 1:
        return False
    [term] = a.terms
    return b == Angle(a.constant, (Term(term.coefficient, term.value, term.index + 1),))


def describe(angle: AnyAngle, names: Mapping[int, str]) -> str:
    """An angle in words of the model: `0.5*steer[3] + 1.2`."""
    if isinstance(angle, Product):
        factor = "" if angle.factor == 1 else f"{angle.factor:.12g} * "
        return f"{factor}({describe(angle.a, names)}) * ({describe(angle.b, names)})"
    parts = []
    for term in angle.terms:
        source = names.get(term.value.id, f"%{term.value.id}")
        if term.value.type.shape:
            source += f"[{', '.join(map(str, unravel(term.index, term.value.type.shape)))}]"
        parts.append(source if term.coefficient == 1 else f"{term.coefficient:.12g}*{source}")
    if angle.constant or not parts:
        parts.append(f"{angle.constant:.12g}")
    return " + ".join(parts).replace("+ -", "- ")


def unravel(index: int, shape: tuple[int, ...]) -> Iterator[int]:
    """The subscripts of a row-major position."""
    out: list[int] = []
    for size in reversed(shape):
        index, rest = divmod(index, size)
        out.append(rest)
    return reversed(out)

"""The target `qasm`: the circuits of a model as files, with what they cannot say refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from qrlang.analysis.circuits import Circuit, circuits
from qrlang.analysis.settings import measurement_settings
from qrlang.backends.qasm.dialects import DIALECTS, Dialect
from qrlang.backends.qasm.printer import Text, emit
from qrlang.check.model import CheckedModel
from qrlang.features import FEATURES
from qrlang.ir.program import Expect, Measure, Op, Probabilities, Program, Reset
from qrlang.ir.walk import walk
from qrlang.names import value_names
from qrlang.targets import Option, Options, Support, Target, no, yes
from qrlang.version import VERSION

_HOST = yes("computed by the host")

_FEATURES: dict[str, Support] = {
    "controls": yes(),
    "recurrence": yes("the circuit of one step; the host repeats it"),
    "recurrences": yes("a file for each"),
    "extra-steps": yes("the same circuit; the host repeats it"),
    "sequences": _HOST,
    "attention": _HOST,
    "circuit-layers": yes("a file for each set of qubits"),
    "expectations": yes("as comments, or `--readouts settings` for a file with measurements each"),
    "probabilities": yes("as comments, or `--readouts settings`"),
    "shots": yes("the host asks for them"),
    "weak-readouts": no("use a plain `read`; a device replays the steps before it instead"),
    "measure": yes(),
    "feed-forward": yes(),
    "kept-bits": no("measure the bit in the step that uses it, or keep it in a qubit"),
    "bits-in-expressions": yes("computed by the host from each shot's bits"),
    "bits-in-angles": no("put the gates with their angles under `if` instead: `if b { rz(a) q }`"),
    "reset": yes(),
    "postselect": no("measure the qubit and let the host keep the shots with the right outcome"),
    "noise": no("leave the channel out: a device has noise of its own; "
                "or emit `--dialect braket`, which can write it"),
    "computed-noise": no("give the channel a constant strength"),
    "conditional-noise": no("let the channel act in both cases, outside the `if`"),
    "mixed-start": no("begin in |0⟩, and entangle with a second register that is never read"),
    "amplitudes": no("encode the values in angles, for example with `std.encode.angle_y`"),
    "matrices": no("write the unitary as gates, for example an ansatz of `std.ansatz`"),
    "exact-evolution": no("say into how many steps to split it: `trotter 8`"),
    "trotter": yes("as gates"),
    "extern": _HOST,
}  # fmt: skip


class Qasm(Target):
    name = "qasm"
    doc = "OpenQASM 3 of each circuit of one step, its angles as inputs"
    options = (
        Option("dialect", "whose OpenQASM: neither tool reads the other's", "qiskit",
               tuple(DIALECTS), variant=True),
        Option("readouts", "as comments, or also a file with measurements for each setting",
               "comments", ("comments", "settings")),
    )  # fmt: skip

    def features(self, options: Options) -> Mapping[str, Support]:
        if options["dialect"] == "braket":
            return {
                **_FEATURES,
                "noise": yes("as a pragma; runs on Braket's `braket_dm`"),
                "reset": yes("simulate it with `braket_dm`: `braket_sv` resets wrongly"),
            }
        return _FEATURES

    def emit(self, model: CheckedModel, options: Options) -> Mapping[str, str | bytes]:
        files = texts(model.program, DIALECTS[options["dialect"]])
        if options["readouts"] == "settings":
            files |= measured(model.program, DIALECTS[options["dialect"]])
        return {path: text.source for path, text in files.items()}


target = Qasm()


def texts(program: Program, dialect: Dialect) -> dict[str, Text]:
    """The text of each circuit, by file name."""
    names = value_names(program)
    return {
        _path(program, circuit.name): emit(
            circuit,
            dialect,
            _title(program, circuit, dialect),
            _head(program, circuit, dialect),
            names,
        )
        for circuit in circuits(program)
    }


def texts_beside(program: Program, dialect: Dialect) -> dict[str, Text]:
    """The same beside a module that can more: none where the texts could not say all of it."""
    support = target.features({"dialect": dialect.name})
    lacking = (f for name, f in FEATURES.items() if not support[name].yes)
    return {} if any(any(f.find(program)) for f in lacking) else texts(program, dialect)


def measured(program: Program, dialect: Dialect) -> dict[str, Text]:
    """For each readout and each of its settings, the circuit up to it and its measurements."""
    out: dict[str, Text] = {}
    names = value_names(program)
    for circuit in circuits(program):
        seen: dict[str, int] = {}
        for prefix, readout in _readouts(circuit.ops):
            label = readout.out.name or "read"
            seen[label] = seen.get(label, 0) + 1
            if seen[label] > 1:
                label += f"_{seen[label]}"
            part = replace(circuit, ops=prefix)
            bases = (
                [setting.basis for setting in measurement_settings(readout)]
                if isinstance(readout, Expect)
                else [()]
            )
            for k, basis in enumerate(bases, start=1):
                name = ".".join(x for x in (circuit.name, label, str(k)) if x)
                head = [
                    *_head(program, circuit, dialect),
                    f"Setting {k} of {len(bases)} of the readout {label}: the last "
                    f"{len(circuit.qubits)} of `bits`, in the order of the qubits.",
                ]
                title = _title(program, circuit, dialect)
                out[_path(program, name)] = emit(part, dialect, title, head, names, basis)
    return out


def _readouts(ops: tuple[Op, ...]) -> Iterator[tuple[tuple[Op, ...], Expect | Probabilities]]:
    """Each readout of the body, with the ops before it that are no readouts."""
    before: list[Op] = []
    for op in ops:
        if isinstance(op, (Expect, Probabilities)):
            yield tuple(before), op
        else:
            before.append(op)


def _path(program: Program, name: str) -> str:
    """A plain file name: nothing in a program decides on folders."""
    return re.sub(r"[^\w.-]+", "_", f"{program.name}.{name}" if name else program.name) + ".qasm"


def _title(program: Program, circuit: Circuit, dialect: Dialect) -> str:
    what = f"the circuit `{circuit.name}`" if circuit.name else "the circuit"
    if circuit.loop:
        what = f"one step of `{circuit.loop.name}`"
    return (
        f"{program.name}: {what}, written by qrlc {VERSION} in the OpenQASM 3 of {dialect.title}."
    )


def _head(program: Program, circuit: Circuit, dialect: Dialect) -> list[str]:
    settings = ", ".join(f"{k} = {str(v).lower()}" for k, v in program.settings)
    head = [f"Settings: {settings}."] if settings else []
    head += _beginning(circuit)
    if any(isinstance(op, Measure) for op in walk(circuit.ops)):
        head.append("Measured bits, in order, are in `bits`.")
    if dialect.resets_wrongly and any(isinstance(op, Reset) for op in walk(circuit.ops)):
        head.append(f"Simulate with {dialect.resets_wrongly}")
    return head


def _beginning(circuit: Circuit) -> Iterator[str]:
    """What the host has to start from: the text itself always starts in |0⟩."""
    held: dict[str, list[str]] = {}
    for register in circuit.registers:
        begun = circuit.begun >= set(register.qubits)
        before = dict.fromkeys(circuit.holds[circuit.qubits.index(q)] for q in register.qubits)
        first = " and ".join(f"`{name}`" for name in before if name)
        if begun or not (circuit.loop or first):
            what = "begin in |0⟩"
        elif not circuit.loop:
            what = f"hold what {first} left in them"
        else:
            start = f"what {first} left" if first else "|0⟩"
            what = f"hold what the step before left in them; before the first, {start}"
        held.setdefault(what, []).append(f"`{register.name}`")
    for what, names in held.items():
        whose = f" of {' and '.join(names)}" if len(held) > 1 else ""
        yield f"The qubits{whose} {what}."

"""The whole file."""

from __future__ import annotations

import re

import qrlang
from qrlang.backends.braket.emit.body import Body
from qrlang.backends.braket.emit.helpers import used
from qrlang.backends.braket.emit.numbers import Names
from qrlang.backends.braket.gates import NATIVE
from qrlang.ir.program import Channel, Program, Value
from qrlang.ir.walk import uses, walk

_TAKEN = """
    np math json argparse Path Circuit FreeParameter LocalSimulator AwsDevice CircuitBinding
    ProgramSet Device Growing angles read distribution average sequence load main forward w
    device measured flat join softmax layer_norm leaky_relu elu silu gelu shifted last moments
    weighted dot scaled bilinear additive examples INPUTS print range len max min sum float int str
    list dict zip map open self enumerate
"""

_IMPORTS = """
import argparse
import json
from pathlib import Path

import numpy as np
from braket.circuits import Circuit, FreeParameter
from braket.devices import LocalSimulator
from braket.program_sets import CircuitBinding, ProgramSet
"""

_DEVICE = '''
class Device:
    """A simulator on this machine, or a device of Amazon Braket by its ARN."""

    def __init__(self, name="braket_sv", shots=0, seed=0):
        self.local = not name.startswith("arn:")
        if self.local:
            self.device = LocalSimulator(name)
        else:
            from braket.aws import AwsDevice

            self.device = AwsDevice(name)
        self.shots = shots  # 0: exact, on a simulator
        self.rng = np.random.default_rng(seed)  # the local simulators have no seed
        self.executables = 0

    def outcomes(self, circuits, tables, qubits, shots=0):
        """Each circuit at each row of angles: the outcomes [k, qubits], and how often each came."""
        shots = shots or self.shots
        self.executables += sum(len(table) for table in tables)
        if self.local:
            return [[self._simulate(c, row, n, shots) for row in table]
                    for c, table, n in zip(circuits, tables, qubits)]
        if not shots:
            raise SystemExit("a device needs a number of shots: --shots 1000")
        # One program set is one task: all sequences, all bases.
        entries = []
        for circuit, table, n in zip(circuits, tables, qubits):
            circuit = circuit.copy().measure(range(n))
            if circuit.parameters:
                names = [str(p) for p in circuit.parameters]
                columns = {name: [row[name] for row in table] for name in names}
                entries.append(CircuitBinding(circuit, input_sets=columns))
            else:
                entries += [circuit] * len(table)
        found = []
        for part in ProgramSet(entries, shots_per_executable=shots).split(self._most())[0]:
            result = self.device.run(part).result()
            found += [np.asarray(one.measurements) for entry in result for one in entry]
        rows = iter(found)
        return [[(next(rows), np.full(shots, 1 / shots)) for _ in table] for table in tables]

    def _most(self):
        for kind, action in self.device.properties.action.items():
            if "program_set" in str(getattr(kind, "value", kind)):
                return action.maximumExecutables
        raise SystemExit("this device takes no program sets")

    def _simulate(self, circuit, row, n, shots):
        circuit = circuit.copy().probability(range(n))
        used = {str(p) for p in circuit.parameters}
        inputs = {name: value for name, value in row.items() if name in used}
        chances = self.device.run(circuit, shots=0, inputs=inputs).result().values[0]
        chances = np.clip(chances, 0, None) / np.sum(np.clip(chances, 0, None))
        if shots:
            chances = self.rng.multinomial(shots, chances) / shots
        seen = np.flatnonzero(chances)
        return seen[:, None] >> np.arange(n - 1, -1, -1) & 1, chances[seen]
'''

_GROWING = '''
class Growing:
    """The circuit of everything so far. All sequences share it; each has angles of its own."""

    def __init__(self):
        self.circuit = Circuit()
        self.table = []  # a column for each angle
        self.q = {}  # on which wire a qubit is
        self.kept = []  # measured bits that post-selection asks for
        self.wires = 0

    def fresh(self):
        self.circuit.i(self.wires)  # Braket leaves out qubits that nothing touches
        self.wires += 1
        return self.wires - 1

    def begin(self, qubits, mixed=False):
        """Qubits in |0>, or maximally mixed: half of a pair whose other half nobody reads."""
        for qubit in qubits:
            self.q[qubit] = self.fresh()
            if mixed:
                other = self.fresh()
                self.circuit.h(other).cnot(other, self.q[qubit])

    def reset(self, qubit):
        """Goes on with a fresh qubit: the same as a reset, on every device."""
        self.q[qubit] = self.fresh()

    def measure(self, qubit, bit):
        """The outcome is kept in a fresh qubit; what depends on it is controlled by that."""
        self.q[bit] = self.fresh()
        self.circuit.cnot(self.q[qubit], self.q[bit])

    def keep(self, qubits, values):
        """Drops all shots in which these qubits have other values. How many were left, of one."""
        before = self.share()
        for qubit, value in zip(qubits, values):
            bit = f"kept_{len(self.kept)}"
            self.measure(qubit, bit)
            self.kept.append((bit, value))
        return self.share() / before

    def share(self):
        if not self.kept:
            return 1.0
        found = device.outcomes([self.circuit], [self.rows()], [self.wires])[0]
        return np.array([share[self.left(bits)].sum() for bits, share in found])

    def left(self, bits):
        """Which outcomes count."""
        return np.all([bits[:, self.q[bit]] == value for bit, value in self.kept], axis=0)

    def add(self, gates, a=None):
        """The next gates; `a` [sequences, angles] are theirs."""
        arguments = [self.circuit]
        if gates.__code__.co_varnames[1:2] == ("q",):
            arguments.append(self.q)
        if a is not None:
            if not np.all(np.isfinite(a)):
                raise SystemExit(f"an angle of {gates.__name__} is not finite: nothing was sent")
            first = len(self.table)
            self.table += list(a.T)
            arguments.append([FreeParameter(f"a_{first + i}") for i in range(a.shape[1])])
        gates(*arguments)

    def rows(self):
        """The inputs of each sequence."""
        count = max((len(column) for column in self.table), default=1)
        columns = [np.broadcast_to(column, count) for column in self.table]
        return [{f"a_{i}": float(c[row]) for i, c in enumerate(columns)} for row in range(count)]


def angles(*parts):
    """[sequences, angles] of vectors and single numbers."""
    parts = [p if np.ndim(p) == 2 else np.reshape(p, (-1, 1)) for p in parts]
    count = max(len(p) for p in parts)
    return np.concatenate([np.broadcast_to(p, (count, p.shape[1])) for p in parts], axis=1)


def sequence(moments):
    """[sequences, moments, ...]"""
    count = max(len(m) for m in moments)
    return np.stack([np.broadcast_to(m, (count, *m.shape[1:])) for m in moments], axis=1)
'''

_MEASURED = '''
def measured(growing, circuits, shots=0):
    """For each circuit and sequence the outcomes, and the share of the shots that each has."""
    rows = growing.rows()
    given = [rows] * len(circuits), [growing.wires] * len(circuits)
    found = device.outcomes(circuits, *given, shots)
    if not growing.kept:
        return found
    kept = [[(bits[growing.left(bits)], share[growing.left(bits)]) for bits, share in of_circuit]
            for of_circuit in found]
    return [[(bits, share / share.sum()) for bits, share in of_circuit] for of_circuit in kept]
'''

_READ = '''
def read(growing, readout, shots=0):
    """Expectation values [sequences, readouts]: every setting is a copy of the circuit."""
    count, settings = readout
    circuits = []
    for basis, _ in settings:
        circuit = growing.circuit.copy()
        for qubit, letter in basis.items():
            wire = growing.q[qubit]
            circuit.h(wire) if letter == "X" else circuit.si(wire).h(wire)
        circuits.append(circuit)
    found = measured(growing, circuits, shots)
    values = np.zeros((len(found[0]), count))
    for (_, words), outcomes in zip(settings, found):
        for row, (bits, share) in enumerate(outcomes):
            for index, factor, qubits in words:
                signs = 1 - 2 * bits[:, [growing.q[qubit] for qubit in qubits]]
                values[row, index] += factor * (share @ np.prod(signs, axis=1))
    return values
'''

_DISTRIBUTION = '''
def distribution(growing, qubits, shots=0):
    """[sequences, 2^k], the first qubit the most significant."""
    wires = [growing.q[qubit] for qubit in qubits]
    powers = 2 ** np.arange(len(wires) - 1, -1, -1)
    found = measured(growing, [growing.circuit], shots)[0]
    return np.array([np.bincount(bits[:, wires] @ powers, share, 2 ** len(wires))
                     for bits, share in found])
'''

_AVERAGE = '''
def average(growing, bits):
    """How often measured bits are 1."""
    wires = [growing.q[bit] for bit in bits]
    found = measured(growing, [growing.circuit])[0]
    return np.array([share @ outcomes[:, wires] for outcomes, share in found])
'''

_LOAD = '''
def load(path):
    """The weights: a safetensors file is a page of JSON, then the numbers."""
    data = Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    page, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    return {name: np.frombuffer(body[slice(*t["data_offsets"])], "<f8").reshape(t["shape"])
            for name, t in page.items() if name != "__metadata__"}
'''

_MAIN = '''
def examples(count, length, rng):
    """Inputs for a first try."""
    made = {}
    for name, (kind, shape, size, is_sequence) in INPUTS.items():
        shape = (count, *([length] if is_sequence else []), *shape)
        made[name] = rng.normal(size=shape) if kind == "real" else rng.integers(0, size, shape)
    return made


def main():
    global device
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="braket_sv", help="braket_sv, braket_dm, or an ARN")
    parser.add_argument("--shots", type=int, default=0, help="0: exact (simulators)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", default=Path(__file__).with_name("weights.safetensors"))
    parser.add_argument("--data", help="an .npz file with the inputs, sequences first")
    parser.add_argument("--sequences", type=int, default=2, help="examples, without --data")
    parser.add_argument("--length", type=int, default=3, help="of an example")
    given = parser.parse_args()
    device = Device(given.device, given.shots, given.seed)
    rng = np.random.default_rng(given.seed)
    data = np.load(given.data) if given.data else examples(given.sequences, given.length, rng)
    np.set_printoptions(precision=4, suppress=True)
    for name, value in forward(load(given.weights), **data).items():
        print(name or "result", np.asarray(value).shape)
        print(value)
    print(f"{device.executables} circuits run, {given.shots or 'exact'} shots each")


device = None

if __name__ == "__main__":
    main()
'''


def emit_module(program: Program, native: frozenset[str] = NATIVE) -> str:
    names = Names(_TAKEN.split())
    body = Body(program, names, native)
    inputs = inputs_of(program)
    arguments = []
    for value in inputs:
        body.texts[value.id] = names.free(value.name or f"input{value.id}")
        arguments.append(body.texts[value.id])
    body.ops(program.body, 1)
    results = [f'        "{o.name}": {body.number(o.value)},' for o in program.outputs]
    forward = [
        f"def forward({', '.join(['w', *arguments])}):",
        '    """Outputs by name. Every array has the sequences in front."""',
        *body.lines,
        "    return {",
        *results,
        "    }",
    ]
    listed = ["INPUTS = {  # kind, shape of a moment, number of values, whether it is a sequence"]
    for value, name in zip(inputs, arguments, strict=True):
        kind, size = value.type.kind, 2 if value.type.kind == "bit" else value.type.size
        shape = f"({', '.join(map(str, value.type.shape))}{',' * (len(value.type.shape) == 1)})"
        listed.append(f'    "{name}": ("{kind}", {shape}, {size}, {value.type.seq}),')
    listed.append("}")
    code = "\n".join([*forward, *(line for piece in body.pieces for line in piece)])
    noisy = any(isinstance(op, Channel) for op in walk(program.body))
    simulator = "braket_dm" if noisy else "braket_sv"  # the one that has noise
    helpers = used(code)
    needs_math = any("math." in text for text in helpers)
    readers = [
        text for name, text in (("read", _READ), ("distribution", _DISTRIBUTION),
                                ("average", _AVERAGE))
        if re.search(rf"\b{name}\(", code)
    ]  # fmt: skip
    blocks = [
        _IMPORTS.strip().replace("json\n", "json\nimport math\n" if needs_math else "json\n"),
        "\n".join([*listed, *(line for table in [*body.tables] for line in ["", *table])]),
        *("\n".join(piece) for piece in body.pieces),
        "\n".join(forward),
        *helpers,
        _DEVICE.strip().replace("braket_sv", simulator),
        _GROWING.strip(),
        *(r.strip() for r in ([_MEASURED, *readers] if readers else [])),
        _LOAD.strip(),
        _MAIN.strip().replace('default="braket_sv"', f'default="{simulator}"'),
    ]
    return _head(program) + "\n\n\n".join(blocks) + "\n"


def inputs_of(program: Program) -> list[Value]:
    """What the model is given: its inputs, and those targets that it reads itself."""
    read = {v.id for op in walk(program.body) for v in uses(op)}
    read |= {o.value.id for o in program.outputs}
    return [*program.inputs, *(t for t in program.targets if t.id in read)]


def _head(program: Program) -> str:
    settings = ", ".join(f"{name}={value!r}" for name, value in program.settings)
    title = f"{program.name}({settings})" if len(settings) < 60 else program.name
    return f'''"""{title} on Amazon Braket.

Written by qrlc {qrlang.__version__}: ordinary Python, to be read and edited.

    python model.py --shots 1000                            on this machine, seeded
    python model.py --shots 1000 --device arn:aws:braket:…  on a device, as one task a readout

A readout does not disturb the model, and on a device it would: so each one runs the circuit of
all that was before it again, for all sequences together, and what comes out gives the next angles.
"""

'''

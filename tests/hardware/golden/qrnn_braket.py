"""QRNN(n=3, layers=2, hidden=64, classes=10) on Amazon Braket.

Written by qrlc 0.1.0: ordinary Python, to be read and edited.

    python model.py --shots 1000                            on this machine, seeded
    python model.py --shots 1000 --device arn:aws:braket:…  on a device, as one task a readout

A readout does not disturb the model, and on a device it would: so each one runs the circuit of
all that was before it again, for all sequences together, and what comes out gives the next angles.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from braket.circuits import Circuit, FreeParameter
from braket.devices import LocalSimulator
from braket.program_sets import CircuitBinding, ProgramSet


INPUTS = {  # kind, shape of a moment, number of values, whether it is a sequence
    "rows": ("real", (28,), 0, True),
}

Z = (3, [
    ({}, [(0, 1, [0]), (1, 1, [1]), (2, 1, [2])]),
])


def step_gates(circuit, a):
    circuit.rz(0, a[0])
    circuit.ry(0, a[1])
    circuit.rz(0, a[2])
    circuit.rz(1, a[3])
    circuit.ry(1, a[4])
    circuit.rz(1, a[5])
    circuit.rz(2, a[6])
    circuit.ry(2, a[7])
    circuit.rz(2, a[8])
    circuit.cnot(0, 1)
    circuit.cnot(1, 2)
    circuit.cnot(2, 0)
    circuit.rz(0, a[9])
    circuit.ry(0, a[10])
    circuit.rz(0, a[11])
    circuit.rz(1, a[12])
    circuit.ry(1, a[13])
    circuit.rz(1, a[14])
    circuit.rz(2, a[15])
    circuit.ry(2, a[16])
    circuit.rz(2, a[17])
    circuit.cnot(0, 1)
    circuit.cnot(1, 2)
    circuit.cnot(2, 0)


def forward(w, rows):
    """Outputs by name. Every array has the sequences in front."""
    circuit = Growing()
    circuit.begin(range(3))
    steps = rows.shape[1]
    for t in range(steps):
        row = rows[:, t]
        z = read(circuit, Z)
        v = join(row, z)
        v_2 = v @ w["steer.w1"].T + w["steer.b1"]
        v_3 = np.maximum(v_2, 0)
        v_4 = v_3 @ w["steer.w2"].T + w["steer.b2"]
        circuit.add(step_gates, v_4)
    z_2 = read(circuit, Z)
    v_5 = 16 * z_2 @ w["head.w"].T + w["head.b"]
    return {
        "": v_5,
    }


def join(*parts):
    """One after the other; what is the same for all sequences is repeated."""
    rows = max(len(p) for p in parts)
    return np.concatenate([np.broadcast_to(p, (rows, p.shape[1])) for p in parts], axis=1)


class Device:
    """A simulator on this machine, or a device of Amazon Braket by its ARN."""

    def __init__(self, name="braket_sv", shots=1000, seed=0):
        self.local = not name.startswith("arn:")
        if self.local:
            self.device = LocalSimulator(name)
        else:
            from braket.aws import AwsDevice

            self.device = AwsDevice(name)
        if not self.local and not shots:
            raise SystemExit("a device needs a number of shots: --shots 1000")
        self.shots = shots  # 0: exact, on a simulator
        self.rng = np.random.default_rng(seed)  # the local simulators have no seed
        self.circuits = self.jobs = 0

    def outcomes(self, circuits, table, shots=0):
        """Each circuit at each row of angles: the outcomes [k, qubits], and how often each came.
        All of it is one program set, which is one task."""
        self.circuits += len(circuits) * len(table)
        self.jobs += 1
        shots = shots or self.shots
        if self.local:
            return [[self.simulated(circuit, row, shots) for row in table] for circuit in circuits]
        entries = []
        for circuit in circuits:
            circuit = circuit.copy().measure(range(circuit.qubit_count))
            if circuit.parameters:
                # The names of the angles are `a_0`, `a_1`, …
                names = [str(p) for p in circuit.parameters]
                columns = {name: table[:, int(name[2:])].tolist() for name in names}
                entries.append(CircuitBinding(circuit, input_sets=columns))
            else:
                entries += [circuit] * len(table)
        found = []
        for part in ProgramSet(entries, shots_per_executable=shots).split(self.most(shots))[0]:
            result = self.device.run(part).result()
            found += [np.asarray(one.measurements) for entry in result for one in entry]
        rows = iter(found)
        return [[(next(rows), np.full(shots, 1 / shots)) for _ in table] for _ in circuits]

    def most(self, shots):
        """Circuits of one task."""
        for kind, action in self.device.properties.action.items():
            if "program_set" in str(getattr(kind, "value", kind)):
                return max(1, min(action.maximumExecutables, action.maximumTotalShots // shots))
        raise SystemExit("this device takes no program sets")

    def simulated(self, circuit, row, shots):
        n = circuit.qubit_count
        circuit = circuit.copy().probability(range(n))
        inputs = {str(p): float(row[int(str(p)[2:])]) for p in circuit.parameters}
        chances = self.device.run(circuit, shots=0, inputs=inputs).result().values[0]
        chances = np.clip(chances, 0, None) / np.sum(np.clip(chances, 0, None))
        if shots:
            chances = self.rng.multinomial(shots, chances) / shots
        seen = np.flatnonzero(chances)
        return seen[:, None] >> np.arange(n - 1, -1, -1) & 1, chances[seen]


class Growing:
    """The circuit of everything so far. All sequences share it; each has angles of its own."""

    def __init__(self):
        self.circuit = Circuit()
        self.table = []  # a column for each angle
        self.q = {}  # on which wire a qubit is
        self.fresh = True  # nothing has happened yet

    def wire(self):
        new = self.circuit.qubit_count
        self.circuit.i(new)  # Braket leaves out qubits that nothing touches
        return new

    def begin(self, qubits, mixed=False):
        """Qubits in |0>, or maximally mixed: half of a pair whose other half nobody reads."""
        for qubit in qubits:
            self.q[qubit] = self.wire()
            if mixed:
                self.fresh = False
                other = self.wire()
                self.circuit.h(other).cnot(other, self.q[qubit])

    def columns(self, qubits):
        return [self.q[qubit] for qubit in qubits]

    def parameters(self, count):
        first = len(self.table) - count
        return [FreeParameter(f"a_{first + i}") for i in range(count)]

    def turned(self, basis):
        """A copy, so that measuring Z measures these letters."""
        circuit = self.circuit.copy()
        for qubit, letter in basis.items():
            wire = self.q[qubit]
            circuit.h(wire) if letter == "X" else circuit.si(wire).h(wire)
        return circuit

    def add(self, gates, a=None):
        """The next gates; `a` [sequences, angles] are theirs."""
        self.fresh = False
        arguments = [self.circuit]
        if gates.__code__.co_varnames[1:2] == ("q",):
            arguments.append(self.q)
        if a is not None:
            if not np.all(np.isfinite(a)):
                raise SystemExit(f"an angle of {gates.__name__} is not finite: nothing was sent")
            self.table += list(a.T)
            arguments.append(self.parameters(a.shape[1]))
        gates(*arguments)

    def rows(self):
        """The angles [sequences, all of them]."""
        count = max((len(column) for column in self.table), default=1)
        columns = [np.broadcast_to(column, count) for column in self.table]
        return np.stack(columns, axis=1) if columns else np.zeros((1, 0))

    def measured(self, circuits, shots=0):
        """For each circuit and sequence the outcomes, and the share of the shots that each has."""
        return device.outcomes(circuits, self.rows(), shots)


def angles(*parts):
    """[sequences, angles] of vectors and single numbers."""
    parts = [p if np.ndim(p) == 2 else np.reshape(p, (-1, 1)) for p in parts]
    count = max(len(p) for p in parts)
    return np.concatenate([np.broadcast_to(p, (count, p.shape[1])) for p in parts], axis=1)


def sequence(moments):
    """[sequences, moments, ...]"""
    count = max(len(m) for m in moments)
    return np.stack([np.broadcast_to(m, (count, *m.shape[1:])) for m in moments], axis=1)


def read(growing, readout, shots=0):
    """Expectation values [sequences, readouts]: every setting is a copy of the circuit."""
    count, settings = readout
    if growing.fresh:  # still |0…0>: nothing has to be measured
        values = np.zeros((1, count))
        for basis, words in settings:
            for index, factor, qubits in words:
                values[:, index] += factor * (not set(qubits) & set(basis))
        return values
    found = growing.measured([growing.turned(basis) for basis, _ in settings], shots)
    values = np.zeros((len(found[0]), count))
    for (_, words), outcomes in zip(settings, found):
        for row, (bits, share) in enumerate(outcomes):
            for index, factor, qubits in words:
                signs = 1 - 2 * bits[:, growing.columns(qubits)]
                values[row, index] += factor * (share @ np.prod(signs, axis=1))
    return values


def load(path):
    """The weights: a safetensors file is a page of JSON, then the numbers."""
    data = Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    page, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    return {name: np.frombuffer(body[slice(*t["data_offsets"])], "<f8").reshape(t["shape"])
            for name, t in page.items() if name != "__metadata__"}


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
    parser.add_argument("--shots", type=int, default=1000, help="0: exact, on a simulator")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", default=Path(__file__).with_name("weights.safetensors"))
    parser.add_argument("--data", help="an .npz file with the inputs, sequences first")
    parser.add_argument("--sequences", type=int, default=2, help="examples, without --data")
    parser.add_argument("--length", type=int, default=3, help="of an example")
    given = parser.parse_args()
    if given.shots < 0:
        parser.error("--shots is a number of shots, or 0")
    device = Device(given.device, given.shots, given.seed)
    rng = np.random.default_rng(given.seed)
    data = np.load(given.data) if given.data else examples(given.sequences, given.length, rng)
    np.set_printoptions(precision=4, suppress=True)
    for name in INPUTS:
        if name not in data:
            parser.error(f"{given.data} has no array {name!r}; it has {', '.join(data)}")
    inputs = [data[name] for name in INPUTS]
    for name, value in forward(load(given.weights), *inputs).items():
        print(name or "result", np.asarray(value).shape)
        print(value)
    print(f"{device.circuits} circuits in {device.jobs} jobs, {given.shots or 'exact'} shots each")


device = None

if __name__ == "__main__":
    main()

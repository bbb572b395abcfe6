"""QRNN(n=3, layers=2, hidden=64, classes=10) with Qiskit.

Written by qrlc 0.1.0: ordinary Python, to be read and edited.

    python model.py --shots 1000                        on this machine, seeded
    python model.py --shots 1000 --device fake_fez      with the noise of a device
    python model.py --shots 1000 --device ibm_torino    on a device of your account

A readout does not disturb the model, and on a device it would: so each one runs the circuit of
all that was before it again, for all sequences together, and what comes out gives the next angles.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import ParameterVector
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import SamplerV2


INPUTS = {  # kind, shape of a moment, number of values, whether it is a sequence
    "rows": ("real", (28,), 0, True),
}

Z = (3, [
    ({}, [(0, 1, [0]), (1, 1, [1]), (2, 1, [2])]),
])


def step_gates(circuit, a):
    circuit.rz(a[0], 0)
    circuit.ry(a[1], 0)
    circuit.rz(a[2], 0)
    circuit.rz(a[3], 1)
    circuit.ry(a[4], 1)
    circuit.rz(a[5], 1)
    circuit.rz(a[6], 2)
    circuit.ry(a[7], 2)
    circuit.rz(a[8], 2)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    circuit.cx(2, 0)
    circuit.rz(a[9], 0)
    circuit.ry(a[10], 0)
    circuit.rz(a[11], 0)
    circuit.rz(a[12], 1)
    circuit.ry(a[13], 1)
    circuit.rz(a[14], 1)
    circuit.rz(a[15], 2)
    circuit.ry(a[16], 2)
    circuit.rz(a[17], 2)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    circuit.cx(2, 0)


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
    """Aer on this machine, or a backend of qiskit-ibm-runtime: `fake_…` or `ibm_…`."""

    def __init__(self, name="aer", shots=1000, seed=0):
        self.shots = shots  # 0: exact, on Aer
        self.circuits = self.jobs = 0
        self.seed = seed
        self.local = name == "aer"
        if self.local:
            # The gates whose parameters Aer binds by itself.
            self.backend = AerSimulator(basis_gates="h x rx ry rz p sx cx cz rzz".split())
        elif name.startswith("fake"):
            from qiskit_ibm_runtime.fake_provider import FakeProviderForBackendV2

            self.backend = FakeProviderForBackendV2().backend(name)
        else:
            from qiskit_ibm_runtime import QiskitRuntimeService

            self.backend = QiskitRuntimeService().backend(name)
        if not self.local and not shots:
            raise SystemExit("a device needs a number of shots: --shots 1000")
        self.passes = generate_preset_pass_manager(
            0 if self.local else 2, self.backend, seed_transpiler=seed
        )

    def outcomes(self, circuits, table, shots=0):
        """Each circuit at each row of angles: the outcomes [k, qubits and bits], and how often
        each came. All of it is one job, a PUB for each circuit."""
        self.circuits += len(circuits) * len(table)
        self.jobs += 1
        shots = shots or self.shots
        if not shots:
            return [self.exactly(circuit, table) for circuit in circuits]
        pubs = []
        for circuit in circuits:
            measured = circuit.copy()
            out = ClassicalRegister(circuit.num_qubits, "out")
            measured.add_register(out)
            measured.measure(measured.qubits, out)
            isa = self.passes.run(measured)
            columns = [p.index for p in isa.parameters]  # the passes may have left some out
            if columns:
                pubs.append((isa, table[:, columns], shots))
            else:  # a PUB for each row: all of a job have as many shots
                pubs += [(isa, None, shots)] * len(table)
        rows = []
        for one in self.sampler().run(pubs).result():
            registers = ["out", *(name for name in one.data if name != "out")]
            bits = [getattr(one.data, r).to_bool_array(order="little") for r in registers]
            bits = [b.astype(int).reshape(-1, shots, b.shape[-1]) for b in bits]
            rows += list(np.concatenate(bits, axis=-1))
        rows = iter(rows)
        return [[(next(rows), np.full(shots, 1 / shots)) for _ in table] for _ in circuits]

    def sampler(self):
        if self.local:
            # Shot i of Aer has the seed s + i: seeds of jobs have to be far apart.
            return SamplerV2(seed=(self.seed + self.jobs * 1_000_003) % 2**31)
        try:
            from qiskit_ibm_runtime.executor_sampler import Sampler
        except ImportError:
            from qiskit_ibm_runtime import SamplerV2 as Sampler
        return Sampler(mode=self.backend)

    def exactly(self, circuit, table):
        if circuit.clbits:
            raise SystemExit("with measurements inside, take shots: --shots 1000")
        mixed = {"reset", "quantum_channel"} & circuit.count_ops().keys()
        simulator = AerSimulator(method="density_matrix" if mixed else "statevector")
        compiled = self.passes.run(circuit)
        compiled.save_probabilities()
        bound = [compiled.assign_parameters(row) for row in table]
        result = simulator.run(bound).result()
        n = circuit.num_qubits
        states = np.arange(2**n)[:, None] >> np.arange(n) & 1  # qubit 0 is the lowest bit
        return [(states, np.asarray(result.data(i)["probabilities"])) for i in range(len(table))]


class Growing:
    """The circuit of everything so far. All sequences share it; each has angles of its own."""

    def __init__(self):
        self.circuit = QuantumCircuit()
        # One vector: separate parameters would be bound in the order of their names.
        self.theta = ParameterVector("theta", 0)
        self.table = []  # a column for each angle
        self.q = {}  # where a qubit is, and a measured bit
        self.fresh = True  # nothing has happened yet

    def begin(self, qubits, mixed=False):
        """Qubits in |0>, or maximally mixed: half of a pair whose other half nobody reads."""
        new = [qubit for qubit in qubits if mixed or qubit not in self.q]
        for qubit in qubits:
            if qubit not in new:  # it has been in use before
                self.circuit.reset(self.q[qubit])
        if new:
            self.q.update(zip(new, self.wires(len(new))))
        if mixed:
            self.fresh = False
            for qubit, other in zip(new, self.wires(len(new))):
                self.circuit.h(other)
                self.circuit.cx(other, self.q[qubit])

    def wires(self, count):
        first = self.circuit.num_qubits
        self.circuit.add_register(QuantumRegister(count, f"q{first}"))
        return range(first, first + count)

    def columns(self, names):
        """Of the outcomes: the qubits come first, then the measured bits."""
        bits = {bit: self.circuit.num_qubits + i for i, bit in enumerate(self.circuit.clbits)}
        return [bits.get(self.q[name], self.q[name]) for name in names]

    def parameters(self, count):
        self.theta.resize(len(self.table))
        return self.theta[len(self.table) - count :]

    def turned(self, basis):
        """A copy, so that measuring Z measures these letters."""
        circuit = self.circuit.copy()
        for qubit, letter in basis.items():
            if letter == "Y":
                circuit.sdg(self.q[qubit])
            circuit.h(self.q[qubit])
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
    parser.add_argument("--device", default="aer", help="aer, fake_…, ibm_…")
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

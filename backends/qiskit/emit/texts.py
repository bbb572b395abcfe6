"""The parts of an emitted module that are the same for every model."""

HEAD = '''"""{title} with Qiskit.

Written by qrlc {version}: ordinary Python, to be read and edited.

    python model.py --shots 1000                        on this machine, seeded
    python model.py --shots 1000 --device fake_fez      with the noise of a device
    python model.py --shots 1000 --device ibm_torino    on a device of your account

A readout does not disturb the model, and on a device it would: so each one runs the circuit of
all that was before it again, for all sequences together, and what comes out gives the next angles.
"""

'''

IMPORTS = """
import argparse
import json
from pathlib import Path

import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import ParameterVector
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import SamplerV2
"""

DEVICE = '''
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
        """Each circuit at each row of angles: the outcomes [rows, k, qubits], and how often each
        came [rows, k]. All of it is one job."""
        if not np.all(np.isfinite(table)):
            raise SystemExit("an angle is not finite: nothing was sent")
        self.circuits += len(circuits) * len(table)
        self.jobs += 1
        shots = shots or self.shots
        if not shots:
            return [self._exactly(circuit, table) for circuit in circuits]
        pubs = []
        for circuit in circuits:
            measured = circuit.copy()
            out = ClassicalRegister(circuit.num_qubits, "out")
            measured.add_register(out)
            measured.measure(measured.qubits, out)
            isa = self.passes.run(measured)
            if isa.num_parameters:
                pubs.append((isa, table, shots))
            else:  # nothing differs between the rows
                pubs.append((isa, None, shots * len(table)))
        result = self._sampler().run(pubs).result()
        found = []
        for one in result:
            bits = one.data.out.to_bool_array(order="little").astype(int)
            bits = bits.reshape(len(table), shots, -1)
            names = [name for name in one.data if name != "out"]
            kept = [getattr(one.data, n).to_bool_array(order="little") for n in names]
            inner = [k.astype(int).reshape(len(table), shots, -1) for k in kept]
            share = np.full(bits.shape[:2], 1 / shots)
            found.append((np.concatenate([bits, *inner], axis=-1), share))
        return found

    def _sampler(self):
        if self.local:
            # Shot i of Aer has the seed s + i: seeds of jobs have to be far apart.
            return SamplerV2(seed=(self.seed + self.jobs * 1_000_003) % 2**31)
        try:
            from qiskit_ibm_runtime.executor_sampler import Sampler
        except ImportError:
            from qiskit_ibm_runtime import SamplerV2 as Sampler
        return Sampler(mode=self.backend)

    def _exactly(self, circuit, table):
        if circuit.clbits:
            raise SystemExit("with measurements inside, take shots: --shots 1000")
        mixed = "reset" in circuit.count_ops()
        simulator = AerSimulator(method="density_matrix" if mixed else "statevector")
        compiled = self.passes.run(circuit)
        compiled.save_probabilities()
        bound = [compiled.assign_parameters(row) for row in table]
        result = simulator.run(bound).result()
        shares = np.array([result.data(i)["probabilities"] for i in range(len(table))])
        n = circuit.num_qubits
        states = np.arange(2**n)[:, None] >> np.arange(n) & 1  # qubit 0 is the lowest bit
        return np.broadcast_to(states, (len(table), *states.shape)), shares
'''

GROWING = '''
class Growing:
    """The circuit of everything so far. All sequences share it; each has angles of its own."""

    def __init__(self):
        self.circuit = QuantumCircuit()
        # One vector: separate parameters would be bound in the order of their names.
        self.theta = ParameterVector("theta", 0)
        self.table = []  # a column for each angle
        self.q = {}  # where a qubit is, and a measured bit

    def begin(self, qubits, mixed=False):
        """Qubits in |0>, or maximally mixed: half of a pair whose other half nobody reads."""
        for qubit in qubits:
            if qubit in self.q:  # it has been in use before
                self.circuit.reset(self.q[qubit])
                continue
            self.q[qubit] = self.fresh()
            if mixed:
                other = self.fresh()
                self.circuit.h(other)
                self.circuit.cx(other, self.q[qubit])

    def fresh(self):
        self.circuit.add_register(QuantumRegister(1, f"q{self.circuit.num_qubits}"))
        return self.circuit.num_qubits - 1

    # …
    def add(self, gates, a=None):
        """The next gates; `a` [sequences, angles] are theirs."""
        arguments = [self.circuit]
        if gates.__code__.co_varnames[1:2] == ("q",):
            arguments.append(self.q)
        if a is not None:
            first = len(self.table)
            self.table += list(a.T)
            self.theta.resize(len(self.table))
            arguments.append(self.theta[first:])
        gates(*arguments)

    def rows(self):
        """The angles [sequences, all of them]."""
        count = max((len(column) for column in self.table), default=1)
        columns = [np.broadcast_to(column, count) for column in self.table]
        return np.stack(columns, axis=1) if columns else np.zeros((1, 0))


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


# Methods of `Growing` that not every model needs; they go where `# …` stands.
RESET = """
    def reset(self, qubit, ones=(), zeros=()):
        conditions = [(self.q[b], 1) for b in ones] + [(self.q[b], 0) for b in zeros]
        if not conditions:
            self.circuit.reset(self.q[qubit])
            return
        condition = conditions[0] if len(conditions) == 1 else both(*conditions)
        with self.circuit.if_test(condition):
            self.circuit.reset(self.q[qubit])
"""

MEASURE = """
    def measure(self, qubit, bit):
        register = ClassicalRegister(1, f"m{self.circuit.num_clbits}")
        self.circuit.add_register(register)
        self.circuit.measure(self.q[qubit], register[0])
        self.q[bit] = register[0]
"""

BOTH = '''
def both(*conditions):
    """All of them: devices take no `if` within an `if`."""
    whole = None
    for bit, wanted in conditions:
        one = expr.lift(bit) if wanted else expr.logic_not(bit)
        whole = one if whole is None else expr.logic_and(whole, one)
    return whole
'''

READ = '''
def read(growing, readout, shots=0):
    """Expectation values [sequences, readouts]: every setting is a copy of the circuit."""
    count, settings = readout
    table = growing.rows()
    circuits = []
    for basis, _ in settings:
        circuit = growing.circuit.copy()
        for qubit, letter in basis.items():
            if letter == "Y":
                circuit.sdg(growing.q[qubit])
            circuit.h(growing.q[qubit])
        circuits.append(circuit)
    values = np.zeros((len(table), count))
    if not growing.circuit.data:  # still |0…0>
        for basis, words in settings:
            for index, factor, qubits in words:
                values[:, index] += factor * (not set(qubits) & set(basis))
        return values
    for (_, words), (bits, share) in zip(settings, device.outcomes(circuits, table, shots)):
        for index, factor, qubits in words:
            signs = 1 - 2 * bits[:, :, [growing.q[qubit] for qubit in qubits]]
            values[:, index] += factor * (share * np.prod(signs, axis=-1)).sum(axis=1)
    return values
'''

DISTRIBUTION = '''
def distribution(growing, qubits, shots=0):
    """[sequences, 2^k], the first qubit the most significant."""
    wires = [growing.q[qubit] for qubit in qubits]
    powers = 2 ** np.arange(len(wires) - 1, -1, -1)
    bits, share = device.outcomes([growing.circuit], growing.rows(), shots)[0]
    return np.array([np.bincount(b[:, wires] @ powers, s, 2 ** len(wires))
                     for b, s in zip(bits, share)])
'''

AVERAGE = '''
def average(growing, bits):
    """How often measured bits are 1."""
    outcomes, share = device.outcomes([growing.circuit], growing.rows())[0]
    first = growing.circuit.num_qubits  # measured bits come after the qubits
    columns = [first + growing.circuit.find_bit(growing.q[bit]).index for bit in bits]
    return (share[:, :, None] * outcomes[:, :, columns]).sum(axis=1)
'''

LOAD = '''
def load(path):
    """The weights: a safetensors file is a page of JSON, then the numbers."""
    data = Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    page, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    return {name: np.frombuffer(body[slice(*t["data_offsets"])], "<f8").reshape(t["shape"])
            for name, t in page.items() if name != "__metadata__"}
'''

MAIN = '''
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
    parser.add_argument("--shots", type=int, default=1000, help="0: exact (Aer)")
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
    print(f"{device.circuits} circuits in {device.jobs} jobs, {given.shots or 'exact'} shots each")


device = None

if __name__ == "__main__":
    main()
'''

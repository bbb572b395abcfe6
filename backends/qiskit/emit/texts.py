"""What is Qiskit's own in an emitted module."""

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
        self.fresh = True  # nothing has happened yet
        self.kept = []  # measured bits that post-selection asks for

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

    # …
'''

METHODS = {
    ".reset(": """
    def reset(self, qubit):
        self.circuit.reset(self.q[qubit])
""",
    ".reset_if(": """
    def reset_if(self, condition, qubit):
        with self.circuit.if_test(condition(self.q)):
            self.circuit.reset(self.q[qubit])
""",
    ".measure(": """
    def measure(self, qubit, bit):
        register = ClassicalRegister(1, f"m{self.circuit.num_clbits}")
        self.circuit.add_register(register)
        self.circuit.measure(self.q[qubit], register[0])
        self.q[bit] = register[0]
""",
}

PLAY = """
def play(circuit, gates):
    for name, qubits, *angle in gates:
        getattr(circuit, name)(*angle, *qubits)
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

"""What is Braket's own in an emitted module."""

HEAD = '''"""{title} on Amazon Braket.

Written by qrlc {version}: ordinary Python, to be read and edited.

    python model.py --shots 1000                            on this machine, seeded
    python model.py --shots 1000 --device arn:aws:braket:…  on a device, as one task a readout

A readout does not disturb the model, and on a device it would: so each one runs the circuit of
all that was before it again, for all sequences together, and what comes out gives the next angles.
"""
'''

IMPORTS = """
from braket.circuits import Circuit, FreeParameter
from braket.devices import LocalSimulator
from braket.program_sets import CircuitBinding, ProgramSet
"""

DEVICE = '''
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
'''

GROWING = '''
class Growing:
    """The circuit of everything so far. All sequences share it; each has angles of its own."""

    def __init__(self):
        self.circuit = Circuit()
        self.table = []  # a column for each angle
        self.q = {}  # on which wire a qubit is
        self.fresh = True  # nothing has happened yet
        self.kept = []  # measured bits that post-selection asks for

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

    # …
'''

METHODS = {
    ".reset(": '''
    def reset(self, qubit):
        """Goes on with a fresh qubit: the same as a reset, on every device."""
        self.q[qubit] = self.wire()
''',
    ".measure(": '''
    def measure(self, qubit, bit):
        """The outcome is kept in a fresh qubit; what depends on it is controlled by that."""
        self.q[bit] = self.wire()
        self.circuit.cnot(self.q[qubit], self.q[bit])
''',
}

PLAY = """
def play(circuit, gates):
    for name, qubits, *angle in gates:
        getattr(circuit, {"cx": "cnot"}.get(name, name))(*qubits, *angle)
"""

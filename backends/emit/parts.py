"""What an emitted module has whatever the SDK: the growing circuit, readouts, the command line.

`Growing` needs of a vendor: `self.circuit`, `begin`, `reset`, `measure`, `turned` (a copy that is
to be measured in a basis), `columns` (where qubits and bits are in the outcomes), `parameters`.
"""

GROWING = '''
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
'''

KEEP = '''
    def keep(self, qubits, values):
        """Drops all shots in which these qubits have other values. How many were left, of one."""
        before = self.left()
        for qubit, value in zip(qubits, values):
            bit = f"kept_{len(self.kept)}"
            self.measure(qubit, bit)
            self.kept.append((bit, value))
        return self.left() / before

    def left(self):
        if not self.kept:
            return 1.0
        found = device.outcomes([self.circuit], self.rows())[0]
        return np.array([share[self.counts(bits)].sum() for bits, share in found])

    def counts(self, bits):
        """Which outcomes are kept."""
        wanted = [bits[:, self.columns([bit])[0]] == value for bit, value in self.kept]
        return np.all(wanted, axis=0)

    def measured(self, circuits, shots=0):
        """For each circuit and sequence the outcomes, and the share of the shots that each has."""
        everything = device.outcomes(circuits, self.rows(), shots)
        if not self.kept:
            return everything
        found = []
        for outcomes in everything:
            kept = [(bits[self.counts(bits)], share[self.counts(bits)]) for bits, share in outcomes]
            if not all(share.sum() for _, share in kept):
                raise SystemExit("post-selection has left no shots: take more with --shots")
            found.append([(bits, share / share.sum()) for bits, share in kept])
        return found
'''

ARRAYS = '''
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

READERS = {
    "read": '''
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
''',
    "distribution": '''
def distribution(growing, qubits, shots=0):
    """[sequences, 2^k], the first qubit the most significant."""
    powers = 2 ** np.arange(len(qubits) - 1, -1, -1)
    found = growing.measured([growing.circuit], shots)[0]
    columns = growing.columns(qubits)
    return np.array([np.bincount(bits[:, columns] @ powers, share, 2 ** len(qubits))
                     for bits, share in found])
''',
    "average": '''
def average(growing, bits):
    """How often measured bits are 1."""
    found = growing.measured([growing.circuit])[0]
    return np.array([share @ outcomes[:, growing.columns(bits)] for outcomes, share in found])
''',
}

EXAMPLES = '''
def examples(count, length, rng):
    """Inputs for a first try."""
    made = {}
    for name, (kind, shape, size, is_sequence) in INPUTS.items():
        shape = (count, *([length] if is_sequence else []), *shape)
        # …
        made[name] = rng.normal(size=shape) if kind == "real" else rng.integers(0, size, shape)
    return made
'''

# What stands at `# …` in it, for models that take such things.
COMPLEX = """
        if kind == "state":
            made[name] = rng.normal(size=shape) + 1j * rng.normal(size=shape)
            continue
        if kind == "unitary":
            made[name] = np.linalg.qr(rng.normal(size=shape) + 1j * rng.normal(size=shape))[0]
            continue
"""

LOAD = '''
def load(path):
    """The weights: a safetensors file is a page of JSON, then the numbers."""
    data = Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    page, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    return {name: np.frombuffer(body[slice(*t["data_offsets"])], "<f8").reshape(t["shape"])
            for name, t in page.items() if name != "__metadata__"}
'''

MAIN = """
{examples}


def main():
    global device
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="{device}", help="{devices}")
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
"""

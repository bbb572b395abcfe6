"""Devices of the Qiskit world: Aer, with or without a device's noise, and IBM's by the runtime.

Names: `aer`; `fake_manila` and the other snapshots of qiskit-ibm-runtime; `ibm_…` for a backend of
the account, `ibm` for the one with the shortest queue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qrlang.backends.qiskit.circuits import build
from qrlang.gates import CHANNELS
from qrlang.hardware.device import (
    Bits,
    Capabilities,
    Device,
    DeviceError,
    DeviceOptions,
    Done,
    ErrorRates,
    Floats,
    Footprint,
    Limits,
    Template,
    Ticket,
    Work,
    spaced,
)

IBM_EXECUTIONS = 10_000_000  # circuits times shots in a job, by IBM's documentation

# Gates whose parameters Aer binds by itself: a controlled rotation among them would come back
# without results. The rest is written with these.
_BOUND = "id x y z h s sdg t tdg sx sxdg rx ry rz p u cx cy cz swap rxx ryy rzz rzx ccx"
BOUND = _BOUND.split(" ")

THREADED = 14  # qubits below which Aer's threads only wait for one another


def open_device(name: str, options: DeviceOptions | None = None) -> Device:
    options = options or DeviceOptions()
    try:
        import qiskit
        import qiskit_aer
    except ImportError as error:
        raise DeviceError(f"this needs {error.name}", "pip install 'qrlang[qiskit]'") from None
    del qiskit, qiskit_aer
    if name in ("aer", ""):
        return Aer(options)
    from qrlang.backends.qiskit import ibm

    return ibm.open_device(name, options)


def bits_of(result: Any, works: Sequence[Work]) -> list[Bits]:
    """The bits of each work, in our order. A register's array counts from its last bit, unless
    asked for otherwise."""
    out: list[Bits] = []
    for one, work in zip(result, works, strict=True):
        data = one.data
        parts = [data.meas.to_bool_array(order="little")]
        if work.template.bits:
            parts.append(data.mid.to_bool_array(order="little"))
        table = np.concatenate(parts, axis=-1).astype(np.uint8)
        out.append(table.reshape(work.circuits, work.shots, -1))
    return out


class _Compiled:
    """Transpiles each template once."""

    def __init__(self, backend: Any, level: int, seed: int) -> None:
        self._backend, self._level, self._seed = backend, level, seed
        self._kept: dict[Template, Any] = {}
        self._managers: dict[tuple[int, ...], Any] = {}

    def __call__(self, template: Template) -> Any:
        if template not in self._kept:
            found = self.of(build(template)[0], template.places)
            self._kept[template] = folded(found, template.fold)
        return self._kept[template]

    def of(self, circuit: Any, places: tuple[int, ...] = ()) -> Any:
        return self._passes(places).run(circuit)

    def places(self, template: Template) -> tuple[int, ...]:
        """Where the qubits are when they are read."""
        circuit = self(template)
        (register,) = (r for r in circuit.cregs if r.name == "meas")
        found = dict.fromkeys(range(template.qubits), 0)
        for item in circuit.data:
            if item.operation.name == "measure" and item.clbits[0] in register:
                bit = register[:].index(item.clbits[0])
                found[bit] = circuit.find_bit(item.qubits[0]).index
        return tuple(found.values())

    def _passes(self, places: tuple[int, ...]) -> Any:
        if places not in self._managers:
            from qiskit.transpiler import generate_preset_pass_manager

            self._managers[places] = generate_preset_pass_manager(
                self._level, self._backend, seed_transpiler=self._seed,
                initial_layout=list(places) or None,
            )  # fmt: skip
        return self._managers[places]


def pubs(works: Sequence[Work], compiled: Any) -> list[Any]:
    """One for each template, its angles broadcast. A work has its own number of shots."""
    found: list[Any] = []
    for work in works:
        if not np.all(np.isfinite(work.angles)):
            raise DeviceError("an angle is not a finite number: nothing has been sent")
        circuit = compiled(work.template)
        columns = used(circuit)
        if columns:
            found.append((circuit, work.angles[:, columns], work.shots))
        else:  # Aer runs a circuit without parameters once, whatever the shape
            found.append((circuit, None, work.executions))
    return found


def folded(circuit: Any, times: int) -> Any:
    """Every gate on two qubits done, undone and done again. After transpiling, which would see
    that they cancel, and so that gates of its own count too."""
    if times == 1:
        return circuit
    made = circuit.copy_empty_like()
    for item in circuit.data:
        gate = item.operation
        made.append(item)
        if len(item.qubits) > 1 and gate.name != "barrier" and not hasattr(gate, "blocks"):
            for k in range(1, times):
                made.append(gate.inverse() if k % 2 else gate, item.qubits, item.clbits)
    return made


def used(circuit: Any) -> list[int]:
    """The columns of the table that a circuit asks for, in the order in which it binds them:
    transpiling may have left some out."""
    return [p.index for p in circuit.parameters]


class Aer:
    """The simulator on this machine. `noise`: that of a device by name, or one number, the chance
    of an error at each gate on two qubits and at each reading (a tenth of it on one qubit)."""

    errors: ErrorRates | None = None

    def __init__(self, options: DeviceOptions) -> None:
        from qiskit_aer import AerSimulator

        self.name = "aer"
        self.limits = Limits(qubits=30)
        self.capabilities = Capabilities(
            True, True, True, not options.noise, noise=True, folds=True, local=True
        )
        self._options = options
        self._noise: Any = None
        self._backend: Any = AerSimulator(basis_gates=BOUND)
        if options.noise:
            self.name = f"aer with the noise of {options.noise}"
            self._backend, self._noise, self.errors = _noisy(options)
            if hasattr(self._backend, "num_qubits") and self._backend.num_qubits:
                self.limits = Limits(qubits=self._backend.num_qubits)
        # Without noise it only has to know the gates.
        self._compiled = _Compiled(self._backend, options.level if options.noise else 0,
                                   options.seed)  # fmt: skip
        self._exact = AerSimulator(method="statevector", basis_gates=BOUND)
        self._plain = _Compiled(self._exact, 0, 0)
        self._states: dict[Template, Any] = {}
        # A device's own numbers, gate by gate, where the noise is that of a device.
        named = self.errors is not None and self.errors.average
        self._target = self._backend.target if named else None

    def submit(self, works: Sequence[Work], seed: int) -> Ticket:
        from qiskit.exceptions import QiskitError
        from qiskit_aer.primitives import SamplerV2

        settings: dict[str, Any] = {"noise_model": self._noise} if self._noise else {}
        if max(w.template.qubits for w in works) < THREADED:
            settings["max_parallel_threads"] = 1
        if not self._noise and all(_discards(w.template) for w in works):
            settings["method"] = "density_matrix"  # once for all shots, not once for each
        ready = pubs(works, self._compiled)
        bits: list[Bits] = [np.empty(0, np.uint8)] * len(works)
        try:
            for bound in (True, False):  # Aer confuses them in one call
                mine = [i for i, pub in enumerate(ready) if (pub[1] is None) == bound]
                if mine:
                    # With one seed, the first circuits of both calls would draw the same numbers.
                    own = SamplerV2(seed=spaced(seed, bound), options={"backend_options": settings})
                    result = own.run([ready[i] for i in mine]).result()
                    found = bits_of(result, [works[i] for i in mine])
                    for i, one in zip(mine, found, strict=True):
                        bits[i] = one
        except QiskitError as error:
            raise DeviceError(f"aer could not run the job: {error}") from error
        return Done(bits)

    def reopen(self, ticket: str, works: Sequence[Work]) -> Ticket:
        raise DeviceError(f"aer keeps no jobs: {ticket}")

    def probabilities(self, template: Template, angles: Floats) -> Floats:
        if template not in self._states:
            circuit, _ = build(template, measured=False)
            circuit = self._plain.of(circuit)
            circuit.save_probabilities()
            self._states[template] = circuit
        circuit = self._states[template]
        # One circuit and a table of its angles: bound here row by row, it would take twice as long.
        table = {p: angles[:, p.index].tolist() for p in circuit.parameters}
        settings: dict[str, Any] = {"parameter_binds": [table]} if table else {}
        if template.qubits < THREADED:
            settings["max_parallel_threads"] = 1
        method = "density_matrix" if noisy(template) else "statevector"
        result = self._exact.run(circuit, method=method, **settings).result()
        rows = range(len(angles))
        found = [result.data(r if table else 0)["probabilities"] for r in rows]
        # Qiskit's first qubit is the least significant.
        n, axes = template.qubits, (0, *range(template.qubits, 0, -1))
        whole = np.asarray(found).reshape((len(angles),) + (2,) * n).transpose(axes)
        return np.asarray(whole.reshape(len(angles), -1), float)

    def footprint(self, template: Template) -> Footprint:
        return footprint(self._compiled(template), self._target)

    def places(self, template: Template) -> tuple[int, ...]:
        return self._compiled.places(template)

    def misread(self, template: Template) -> tuple[float, ...]:
        return misread(self._target, self.places(template)) if self._target else ()

    def describe(self) -> Mapping[str, Any]:
        from importlib.metadata import version

        page = {"device": self.name, "qiskit": version("qiskit"), "aer": version("qiskit-aer")}
        if self._options.noise:
            page["noise"] = self._options.noise
        return page


def noisy(template: Template) -> bool:
    """Whether the program itself has noise there."""
    return any(s.name in CHANNELS for s in template.steps)


def _discards(template: Template) -> bool:
    """Resets or noise, and nothing else that a density matrix could not hold."""
    mixed = noisy(template) or not template.pure
    return mixed and not template.bits and template.qubits <= 8


def footprint(circuit: Any, target: Any) -> Footprint:
    """Counted in the circuit that is sent; with a target's error rates, also how likely it is that
    no gate and no reading goes wrong."""
    one = two = 0
    kept = 1.0
    for item in circuit.data:
        name, width = item.operation.name, len(item.qubits)
        if name == "barrier":
            continue
        if name not in ("measure", "reset"):
            one += width == 1
            two += width > 1
        if target is not None:
            kept *= 1 - _error(target, name, tuple(circuit.find_bit(q).index for q in item.qubits))
    depth = circuit.depth(lambda item: item.operation.name != "barrier")
    return Footprint(depth, one, two, kept if target is not None else None)


def misread(target: Any, places: tuple[int, ...]) -> tuple[float, ...]:
    """How often each qubit is read wrongly."""
    return tuple(_error(target, "measure", (q,)) for q in places)


def _error(target: Any, name: str, qubits: tuple[int, ...]) -> float:
    try:
        found = target[name][qubits].error
    except (KeyError, AttributeError):
        return 0.0
    return float(found or 0.0)


def _noisy(options: DeviceOptions) -> tuple[Any, Any, ErrorRates | None]:
    """What to transpile to, the noise, and typical error rates."""
    from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

    try:
        p = float(options.noise)
    except ValueError:
        from qrlang.backends.qiskit import ibm

        try:
            backend = ibm.snapshot(options.noise)
        except DeviceError as error:
            raise DeviceError(
                f"--noise: {error}",
                "give the chance of an error, --noise 0.01, or a device's noise: fake_manila",
            ) from None
        return backend, NoiseModel.from_backend(backend), typical(backend.target)
    if not 0 <= p < 0.75:
        raise DeviceError(f"a noise of {p:g} is no chance of an error", "for example --noise 0.01")
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(p / 10, 1), ["rz", "sx", "x"])
    model.add_all_qubit_quantum_error(depolarizing_error(p, 2), ["cz"])
    model.add_all_qubit_readout_error(ReadoutError([[1 - p, p], [p, 1 - p]]))
    from qiskit_aer import AerSimulator

    basis = ["rz", "sx", "x", "cz"]
    return (
        AerSimulator(noise_model=model, basis_gates=basis),
        model,
        ErrorRates(3 / 4 * p / 10, 15 / 16 * p, p),
    )


def typical(target: Any) -> ErrorRates:
    """Medians over the device."""
    one: list[float] = []
    two: list[float] = []
    read: list[float] = []
    for name in target.operation_names:
        for qubits, found in (target[name] or {}).items():
            if qubits is None or found is None or found.error is None:
                continue
            where = read if name == "measure" else one if len(qubits) == 1 else two
            if name != "reset":
                where.append(found.error)
    usual = [float(np.median(x)) if x else 0.0 for x in (one, two, read)]
    return ErrorRates(usual[0], usual[1], usual[2], average=True)

"""Qiskit's simulator on this machine, with or without noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qrlang.backends.qiskit import ibm
from qrlang.backends.qiskit.circuits import build
from qrlang.backends.qiskit.timing import timed
from qrlang.backends.qiskit.transpiled import (
    Compiled,
    bits_of,
    misread,
    pubs,
    typical,
)
from qrlang.gates import CHANNELS
from qrlang.hardware.device import (
    Bits,
    Capabilities,
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

# Gates whose parameters Aer binds by itself: a controlled rotation among them would come back
# without results. The rest is written with these.
_BOUND = "id x y z h s sdg t tdg sx sxdg rx ry rz p u cx cy cz swap rxx ryy rzz rzx ccx"
BOUND = _BOUND.split(" ")

THREADED = 14  # qubits below which Aer's threads only wait for one another


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
        # A device's own numbers, gate by gate, where the noise is that of a device.
        named = self.errors is not None and self.errors.average
        self._target = self._backend.target if named else None
        if self._target is not None:
            self.capabilities = replace(self.capabilities, times=timed(self._target))
        # Without noise it only has to know the gates.
        self._compiled = Compiled(self._backend, options.level if options.noise else 0,
                                   options.seed, self._target)  # fmt: skip
        self._exact = AerSimulator(method="statevector", basis_gates=BOUND)
        self._plain = Compiled(self._exact, 0, 0)
        self._states: dict[Template, Any] = {}

    def submit(self, works: Sequence[Work], seed: int) -> Ticket:
        from qiskit.exceptions import QiskitError
        from qiskit_aer.primitives import SamplerV2

        settings: dict[str, Any] = {"noise_model": self._noise} if self._noise else {}
        if max(w.template.qubits for w in works) < THREADED:
            settings["max_parallel_threads"] = 1
        if not self._noise and all(_discards(w.template) for w in works):
            settings["method"] = "density_matrix"  # once for all shots, not once for each
        ready = pubs(works, self._compiled.waiting)
        bits: list[Bits] = [np.empty(0, np.uint8)] * len(works)
        try:
            for bound in (True, False):  # Aer confuses them in one call
                mine = [i for i, group in enumerate(ready) if (group[0][1] is None) == bound]
                if mine:
                    # With one seed, the first circuits of both calls would draw the same numbers.
                    own = SamplerV2(seed=spaced(seed, bound), options={"backend_options": settings})
                    result = own.run([pub for i in mine for pub in ready[i]]).result()
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
        return self._compiled.footprint(template)

    def places(self, template: Template) -> tuple[int, ...]:
        return self._compiled.places(template)

    def inner_places(self, template: Template) -> dict[int, int]:
        return self._compiled.inner_places(template)

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


def _noisy(options: DeviceOptions) -> tuple[Any, Any, ErrorRates | None]:
    """What to transpile to, the noise, and typical error rates."""
    from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

    try:
        p = float(options.noise)
    except ValueError:
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

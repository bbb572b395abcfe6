"""`braket_sv` and `braket_dm`: Braket's simulators on this machine. No account, no cost.

They have no seed, so shots are drawn here from their exact probabilities. Nearly all the time of
`LocalSimulator.run` goes into reading the text of the circuit back (1.1 of 1.2 s for 900 gates on
8 qubits), so its operations are given to the simulation itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qrlang.backends.braket.circuit import columns, finite, lowered, text, turned
from qrlang.backends.braket.gates import Call, inverse
from qrlang.backends.braket.noise import GateNoise
from qrlang.backends.braket.size import footprint
from qrlang.backends.braket.trunk import Trunks, begun
from qrlang.backends.braket.twirled import NOISY, Sent, twirled
from qrlang.gates import CHANNELS
from qrlang.hardware.device import (
    Bits,
    Capabilities,
    DeviceError,
    Done,
    ErrorRates,
    Floats,
    Footprint,
    Limits,
    Slot,
    Template,
    Ticket,
    Work,
)
from qrlang.hardware.pure import Pure, pure
from qrlang.hardware.twirl import Rules

_MOST = {"braket_sv": 24, "braket_dm": 12}  # qubits, with those that stand for measured bits
_WHERE = "kraus"  # a channel under bits, which has no name of its own


class LocalDevice:
    def __init__(self, name: str, noise: GateNoise | None = None) -> None:
        self.noise = noise or GateNoise()
        if self.noise and name != "braket_dm":
            raise DeviceError(
                f"`{name}` has no noise: it keeps a state vector",
                f"--device braket_dm --noise {self.noise}",
            )
        self.name = name
        self.limits = Limits(qubits=_MOST[name])
        self.capabilities = Capabilities(
            True, True, True, True, name == "braket_dm", folds=True, local=True
        )
        self.errors: ErrorRates | None = self.noise.errors if self.noise else None
        self._trunks = Trunks()
        self._rules = Rules()

    def submit(self, works: Sequence[Work], seed: int) -> Ticket:
        return Done([self._sample(work, [seed, i]) for i, work in enumerate(works)])

    def reopen(self, ticket: str, works: Sequence[Work]) -> Ticket:
        raise DeviceError(f"`{self.name}` keeps no jobs: `{ticket}` is not one of its own")

    def probabilities(self, template: Template, angles: Floats) -> Floats:
        made = Pure(template, tuple(range(template.qubits)), ())
        each = [self._distributions(made, angles, [k]) for k in range(template.twirl)]
        return np.asarray(np.mean(each, axis=0))

    def footprint(self, template: Template) -> Footprint:
        return footprint(template)

    def describe(self) -> Mapping[str, Any]:
        from importlib.metadata import version

        packages = ("amazon-braket-sdk", "amazon-braket-default-simulator")
        return {
            "device": self.name,
            **{package: version(package) for package in packages},
            "noise": str(self.noise) or "none",
        }

    # --- one circuit at many angles -------------------------------------------------------------

    def _sample(self, work: Work, seed: list[int]) -> Bits:
        made = pure(work.template)
        if made.template.qubits > _MOST[self.name] >= work.template.qubits:
            return self._run_text(work)
        width = work.template.qubits + work.template.bits
        shifts = np.arange(width - 1, -1, -1)
        twirls = work.template.twirl
        out = np.empty((len(work.angles), twirls, work.shots // twirls, width), np.uint8)
        rng = np.random.default_rng(seed)
        for k in range(twirls):
            for row, likely in enumerate(self._distributions(made, work.angles, [k, *seed])):
                counts = rng.multinomial(out.shape[2], likely)
                found = np.flatnonzero(counts)
                outcomes = rng.permutation(np.repeat(found, counts[found]))
                out[row, k] = outcomes[:, None] >> shifts & 1
        return out.reshape(len(work.angles), work.shots, width)

    def _distributions(self, made: Pure, angles: Floats, which: list[int]) -> Floats:
        """Of the qubits, then the inner bits, at each row of angles. `which`: of the circuits that
        share the shots, and of which job."""
        n = made.template.qubits
        if n > _MOST[self.name]:
            raise DeviceError(
                f"`{self.name}` has room for {_MOST[self.name]} qubits, and this circuit needs {n}",
                "use fewer qubits, or shorter sequences where the circuit measures or resets",
            )
        finite(angles)
        asked = (*made.qubits, *made.bits)
        rest = tuple(q for q in range(n) if q not in set(asked))
        out = np.empty((len(angles), 1 << len(asked)))
        trunks = self._trunks if made.template.twirl == 1 else Trunks()
        done, parameters, states = trunks.best(made.template)
        grown: dict[bytes, Any] = {}
        for row, numbers in enumerate(angles):
            trunk = begun(states, numbers, parameters)
            first = done if trunk is not None else 0
            trunk = self._evolved(made, numbers, first, trunk, which)
            grown[numbers.tobytes()] = trunk
            tensor = self._read(made, trunk).reshape((2,) * n)
            kept = tensor.transpose((*asked, *rest)).reshape(1 << len(asked), -1).sum(axis=1)
            kept = np.clip(kept, 0.0, None)
            out[row] = kept / kept.sum()
        trunks.keep(made.template, grown, n if self.name == "braket_sv" else 2 * n)
        return out

    def _read(self, made: Pure, trunk: Any) -> Floats:
        """Probabilities of what is measured at the end."""
        import copy

        if tail := [_operation(call) for call in self._tail(made)]:
            trunk = copy.deepcopy(trunk)
            trunk.evolve(tail)
        found: Floats = np.asarray(trunk.probabilities)
        return found

    def _evolved(self, made: Pure, row: Floats, done: int, begun: Any, which: list[int]) -> Any:
        """What Braket's simulation makes of the gates from number `done` on."""
        from braket.default_simulator.density_matrix_simulation import DensityMatrixSimulation
        from braket.default_simulator.state_vector_simulation import StateVectorSimulation

        n = made.template.qubits
        simulation: Any = begun
        if begun is not None:
            pass
        elif self.name == "braket_sv":
            simulation = StateVectorSimulation(n, shots=0, batch_size=1)
        else:
            simulation = DensityMatrixSimulation(n, shots=0)
        simulation.evolve([_operation(call) for call in self._calls(made, row, done, which)])
        return simulation

    def _calls(self, made: Pure, row: Floats, done: int, which: list[int]) -> Iterator[Call]:
        gates = self._gates(made, row, done)
        if made.template.twirl > 1:
            lot = np.random.default_rng([*which, len(made.template.steps), made.template.fold])
            gates = iter(twirled(gates, lot, self._rules))
        for call, own in gates:
            yield call
            if own:
                yield from self._after(call)

    def _gates(self, made: Pure, row: Floats, done: int) -> Iterator[Sent]:
        """And whether each is a gate of the circuit. That a bit is copied to a qubit, and steers
        gates from there, is our way of writing: a bit has no errors but that it may be misread,
        and a gate under it those that it has alone, where the bit is so."""

        def angle(a: float | Slot) -> float:
            return float(row[a.index]) if isinstance(a, Slot) else float(a)

        bits = {s.qubits[0] for s in made.template.steps[:done] if s.bit >= 0}
        for step in made.template.steps[done:]:
            under = {q: 1 for q in step.controls if q in bits}
            under |= {q: 0 for q in step.zeros if q in bits}
            own = step.bit < 0 and not under
            for call in folded(lowered(step, angle), made.template.fold if own else 1):
                if call.name in NOISY and self.name != "braket_dm":
                    raise DeviceError(f"`{self.name}` has no `{step.name}`", "--device braket_dm")
                yield call, own and call.name not in NOISY
            if step.bit >= 0:
                bits |= {*step.qubits}
                if self.noise.readout:
                    yield Call("bit_flip", step.qubits, (self.noise.readout,)), False
            elif under:
                alone = replace(step, controls=tuple(q for q in step.controls if q not in under),
                                zeros=tuple(q for q in step.zeros if q not in under))  # fmt: skip
                for call in folded(lowered(alone, angle), made.template.fold):
                    for noise in self._after(call):
                        yield _where(noise, under), False

    def _tail(self, made: Pure) -> Iterator[Call]:
        for call in turned(made.template.basis):
            yield call
            yield from self._after(call)
        if self.noise.readout:
            for q in made.qubits:
                yield Call("bit_flip", (q,), (self.noise.readout,))

    def _after(self, call: Call) -> Iterator[Call]:
        for name, p in self.noise.channels:
            spec = CHANNELS[name]
            if spec.qubits == 1:
                for q in call.qubits:
                    yield Call(spec.braket, (q,), (p,))
            elif len(call.qubits) == 2:
                yield Call(spec.braket, call.qubits, (p,))

    # --- too many measured bits for that --------------------------------------------------------

    def _run_text(self, work: Work) -> Bits:
        """As text, with what happens in its middle: the simulator draws the shots, unseeded."""
        from braket.devices import LocalSimulator
        from braket.ir.openqasm import Program

        finite(work.angles)
        template = work.template
        steps = template.steps
        if self.noise or any(s.when and s.name == "measure" for s in steps):
            raise DeviceError(
                f"`{self.name}` has no room for what this circuit measures and resets",
                "use shorter sequences, or fewer qubits",
            )
        # The state-vector simulator resets a qubit wrongly if it is entangled.
        name = "braket_dm" if any(s.name == "reset" for s in steps) else self.name
        if template.qubits > _MOST[name]:
            raise DeviceError(
                f"a reset needs `{name}`, which has room for {_MOST[name]} qubits, "
                f"and this circuit needs {template.qubits}"
            )
        simulator, order = LocalSimulator(name), columns(template)
        out = np.empty((len(work.angles), work.shots, len(order)), np.uint8)
        for row, numbers in enumerate(work.angles):
            program = Program(source=text(template, numbers))
            with _quiet():
                found = simulator.run(program, shots=work.shots).result().measurements
            out[row] = np.asarray(found, np.uint8)[:, order]
        return out


def folded(made: Iterable[Call], times: int) -> Iterator[Call]:
    """Every gate on two qubits done, undone and done again."""
    for call in made:
        yield call
        if len(call.qubits) > 1 and call.name not in NOISY:
            for k in range(1, times):
                yield inverse(call) if k % 2 else call


def _where(noise: Call, under: Mapping[int, int]) -> Call:
    """A channel in the shots in which bits have their values; nothing in the others."""
    (spec,) = (c for c in CHANNELS.values() if c.braket == noise.name)
    operators = [np.array(k, complex) for k in spec.kraus(*noise.angles)]
    here = np.zeros((1 << len(under),) * 2)
    at = int("".join(map(str, under.values())), 2)
    here[at, at] = 1
    elsewhere = np.kron(np.eye(len(here)) - here, np.eye(len(operators[0])))
    made = (elsewhere, *(np.kron(here, k) for k in operators))
    return Call(_WHERE, (*under, *noise.qubits), made)


def _operation(call: Call) -> Any:
    from braket.default_simulator import noise_operations
    from braket.default_simulator.gate_operations import BRAKET_GATES

    if call.name == _WHERE:
        return noise_operations.Kraus(call.qubits, call.angles)
    if call.name in NOISY:
        name = "".join(part.capitalize() for part in call.name.split("_"))
        return getattr(noise_operations, name)(call.qubits, *call.angles)
    return BRAKET_GATES["U" if call.name == "u" else call.name](call.qubits, *call.angles)


def _quiet() -> Any:
    """Braket says of every `if` that a QPU may not have it."""
    import contextlib
    import logging
    import warnings

    @contextlib.contextmanager
    def quiet() -> Iterator[None]:
        logger = logging.getLogger("braket")
        before = logger.level
        logger.setLevel(logging.ERROR)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                yield
        finally:
            logger.setLevel(before)

    return quiet()

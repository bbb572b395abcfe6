"""What is Braket's own: its gates, its program sets, its channels, and what a device is given."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from device_tools import plain
from hardware_tools import difference, items, of_text, right, weights

from qrlang.backends.braket.aws import program_set
from qrlang.backends.braket.emit.module import emit_module
from qrlang.backends.braket.gates import COMMON
from qrlang.backends.braket.local import LocalDevice
from qrlang.hardware import loop
from qrlang.hardware.device import Template, Work
from qrlang.ir.program import Program


def module(text: str, device: str = "braket_sv") -> dict[str, Any]:
    found: dict[str, Any] = {"__name__": "written"}
    exec(compile(text, "model.py", "exec"), found)
    found["device"] = found["Device"](device, 0)
    return found


def differs(program: Program, text: str, device: str = "braket_sv") -> float:
    w, batch = weights(program), items(program, (2,))
    given = {name: np.asarray(x)[None] for name, x in batch[0].inputs.items()}
    found = module(text, device)["forward"](w, **given)
    return difference(right(program, batch, w), [{k: x[0] for k, x in found.items()}])


class Recorder(LocalDevice):
    """Keeps what it was given and what it answered."""

    def __init__(self) -> None:
        super().__init__("braket_sv")
        self.seen: list[tuple[Work, Any]] = []

    def submit(self, works: Any, seed: int) -> Any:
        ticket = super().submit(works, seed)
        self.seen += list(zip(works, ticket.result(), strict=True))
        return ticket


def test_a_module_with_the_gates_that_every_device_has() -> None:
    program = plain("exchange_memory/emcz.qrl")
    assert "circuit.cz(" in emit_module(program)
    written = emit_module(program, COMMON)
    body = written[: written.index("class Device")]
    assert set(re.findall(r"circuit\.(\w+)\(", body)) <= COMMON | {"begin", "add", "reset"}
    assert differs(program, written) < 1e-9


def test_the_module_counts_what_it_runs_as_the_loop_does() -> None:
    program = plain("qrnn/rows.qrl")
    w, batch = weights(program), items(program, (2, 2, 2))
    device = module(emit_module(program))
    device["forward"](w, np.stack([x.inputs["rows"] for x in batch]))
    counts = loop.run(
        program, w, batch, LocalDevice("braket_sv"), loop.Plan(100), rehearsal=True
    ).counts
    assert (device["device"].circuits, device["device"].jobs) == (counts.circuits, counts.jobs)


def test_the_module_on_a_device_sends_program_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    import braket.aws
    from braket.devices import LocalSimulator

    sent = []

    class Cloud:
        def __init__(self, arn: str) -> None:
            class Action:
                maximumExecutables = 4
                maximumTotalShots = 12_500

            action = {"braket.ir.openqasm.program_set": Action()}
            self.properties = SimpleNamespace(action=action)

        def run(self, made: Any) -> Any:
            sent.append(made.total_executables)
            return LocalSimulator("braket_sv").run(made)

    monkeypatch.setattr(braket.aws, "AwsDevice", Cloud)
    program = plain("qrnn/rows.qrl")
    w = weights(program)
    rows = np.stack([x.inputs["rows"] for x in items(program, (2,) * 5)])
    written = module(emit_module(program))
    want = written["forward"](w, rows)[""]
    written["device"] = written["Device"]("arn:aws:braket:x", 4000)
    got = written["forward"](w, rows)[""]
    assert sent == [3, 2, 3, 2]
    assert got.shape == want.shape
    assert np.abs(got - want).max() < 3  # the head has a gain of 16


def test_one_circuit_a_step_for_all_sequences() -> None:
    """What the device is given grows by a step at a time, and is the same for every sequence."""
    program = plain("qrnn/rows.qrl")
    device = Recorder()
    loop.run(program, weights(program), items(program, (4,) * 5), device, loop.Plan(10))
    templates: list[Template] = [work.template for work, _ in device.seen]
    assert [work.circuits for work, _ in device.seen] == [5] * len(templates)
    assert len(set(map(id, templates))) == len(templates) == 4
    assert program_set([w for w, _ in device.seen]).total_executables == 20


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("bit_flip", (0.9,)),
        ("phase_flip", (0.7,)),
        ("depolarizing", (0.875,)),
        ("depolarizing2", (0.97,)),
        ("depolarizing2", (1.0,)),
        ("pauli_channel", (0.3, 0.3, 0.4)),
        ("pauli_channel", (1 / 3, 1 / 3, 1 / 3)),
        ("amplitude_damping", (1.0,)),
    ],
)
def test_channels_as_strong_as_the_language_lets_them_be(
    name: str, args: tuple[float, ...]
) -> None:
    """The SDK refuses a bit flip of 0.9, and makes a channel of 0.3, 0.3, 0.4 vanish silently."""
    on = "q[0] q[1]" if name == "depolarizing2" else "q[0]"
    said = ", ".join(f"{x!r}" for x in args)
    text = "model M { input x: real[1]\n target y: real[1]\n qubits q[2]\n ry(x[0]) q[0]\n"
    text += f" rx(0.4) q[1]\n cx q[0], q[1]\n {name}({said}) {on.replace(' ', ', ')}\n"
    program = of_text(text + " return read [X(q[0]), Z(q[0]), Z(q[0]) * Y(q[1])] }\n")
    w, batch = weights(program), items(program)
    want = right(program, batch, w)
    found = loop.run(program, w, batch, LocalDevice("braket_dm"), loop.Plan(0)).outputs
    assert difference(want, found) < 1e-9
    assert differs(program, emit_module(program), "braket_dm") < 1e-9

"""A stand-in for Amazon Braket in the cloud."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from botocore.hooks import HierarchicalEmitter

ARN = "arn:aws:braket:us-east-1::device/qpu/ionq/Forte-1"


class Cloud:
    """What `AwsDevice` looks like, on the local simulator."""

    provider_name, status, name = "Somebody", "ONLINE", "Something"

    def __init__(self, sets: bool, operations: tuple[str, ...] = ()) -> None:
        action = {"braket.ir.openqasm.program": SimpleNamespace(supportedOperations=operations)}
        if sets:
            action["braket.ir.openqasm.program_set"] = SimpleNamespace(
                maximumExecutables=100, maximumTotalShots=10_000
            )
        fidelity = SimpleNamespace(fidelity=0.99)
        pair = SimpleNamespace(twoQubitGateFidelity=[fidelity])
        kind = SimpleNamespace(name="READOUT")
        one = SimpleNamespace(
            oneQubitFidelity=[
                SimpleNamespace(fidelity=0.999, fidelityType=SimpleNamespace(name="RANDOMIZED")),
                SimpleNamespace(fidelity=0.98, fidelityType=kind),
            ]
        )
        self.properties = SimpleNamespace(
            action=action,
            service=SimpleNamespace(shotsRange=(1, 5000)),
            paradigm=SimpleNamespace(qubitCount=11),
            standardized=SimpleNamespace(
                oneQubitProperties={"0": one}, twoQubitProperties={"0-1": pair}
            ),
        )
        self.sent: list[Any] = []
        self.tasks: dict[str, Any] = {}  # by token: one that is known is not another task
        self.state = "COMPLETED"
        meta = SimpleNamespace(events=HierarchicalEmitter())
        self.aws_session = SimpleNamespace(braket_client=SimpleNamespace(meta=meta))

    def run(self, made: Any, shots: int | None = None) -> Any:
        params: dict[str, Any] = {}
        events = self.aws_session.braket_client.meta.events
        events.emit("before-parameter-build.braket.CreateQuantumTask", params=params)
        token = params.get("clientToken", uuid4().hex)
        if token not in self.tasks:
            self.tasks[token] = self.create(made, shots)
        return self.tasks[token]

    def create(self, made: Any, shots: int | None = None) -> Any:
        from braket.devices import LocalSimulator

        self.sent.append(made)
        given = {} if shots is None else {"shots": shots}
        task = LocalSimulator("braket_sv").run(made, **given)
        result = None if self.state == "FAILED" else task.result()
        return SimpleNamespace(
            id=f"task-{len(self.sent)}",
            result=lambda: result,
            state=lambda: self.state,
            metadata=lambda: {"failureReason": "the device was cold"},
        )

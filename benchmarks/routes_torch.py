"""Routes in torch: the three roads of qrlang, gates by hand, and libraries on torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from absent import pretend
from torch import Tensor
from work import RATE, Case, data, ring, signs, weights, whole_ring

Cell = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # state, angles -> state, ⟨Z⟩


def training(case: Case, run: Callable[[Tensor], Tensor], parameters: list[Tensor]) -> Any:
    """A training step: forward, loss, backward, Adam. Returns the loss."""
    x, y = data(case)
    rows, label = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    optimizer = torch.optim.Adam(parameters, lr=RATE, fused=True)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(run(rows), label)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def by_cells(case: Case, cell: Cell, density: bool = False) -> Any:
    """A training step with the recurrence as a loop over one's own cell."""
    axes = 2 if density else 1
    own = {
        name: torch.nn.Parameter(torch.tensor(value, dtype=torch.float32))
        for name, value in weights(case).items()
    }

    def run(rows: Tensor) -> Tensor:
        state = torch.zeros(case.batch, *(2**case.n,) * axes, dtype=torch.complex64)
        state[(slice(None), *(0,) * axes)] = 1
        z = torch.ones(case.batch, case.n)
        for t in range(case.steps):
            seen = torch.cat([rows[:, t], z], 1)
            hidden = torch.tanh(seen @ own["steer.w1"].T + own["steer.b1"])
            state, z = cell(state, hidden @ own["steer.w2"].T + own["steer.b2"])
        return z @ own["head.w"].T + own["head.b"]

    return training(case, run, list(own.values()))


# --- qrlang ---------------------------------------------------------------------------------------


def road(name: str) -> Callable[[Case], Any]:
    def build(case: Case) -> Any:
        import qrlang

        file = Path(__file__).with_name("qrnn.qrl")
        return own(case, qrlang.load(file, n=case.n, layers=case.layers, road=name))

    return build


def own(case: Case, model: Any) -> Any:
    with torch.no_grad():
        for key, value in weights(case).items():
            model.get_parameter(key).copy_(torch.tensor(value))
    step = training(case, model, list(model.parameters()))
    step.model = model
    return step


# --- by hand --------------------------------------------------------------------------------------


def read(case: Case) -> Callable[[Tensor], Tensor]:
    table = torch.tensor(signs(case.n), dtype=torch.float32)
    return lambda state: (state.real**2 + state.imag**2) @ table


def on_qubit(state: Tensor, u: Tensor, q: int, n: int) -> Tensor:
    """A 2x2 matrix for each sequence, on one qubit."""
    split = state.reshape(-1, 2**q, 2, 2 ** (n - q - 1))
    return torch.einsum("bij,bljr->blir", u, split).reshape(len(state), -1)


def rz(a: Tensor) -> Tensor:
    phase = torch.polar(torch.ones_like(a), a / 2)
    zero = torch.zeros_like(phase)
    return torch.stack([torch.stack([phase.conj(), zero], -1), torch.stack([zero, phase], -1)], -2)


def ry(a: Tensor) -> Tensor:
    c, s = torch.cos(a / 2), torch.sin(a / 2)
    u = torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)
    return u.to(torch.complex64)


def gate_by_gate(case: Case) -> Any:
    """RZ, RY, RZ and CNOT, each an operation of its own."""
    n, values = case.n, read(case)
    cnots = [torch.tensor(index) for index in ring(n)]

    def cell(state: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        theta = theta.view(-1, case.layers, n, 3)
        for layer in range(case.layers):
            for q in range(n):
                for k, gate in enumerate((rz, ry, rz)):
                    state = on_qubit(state, gate(theta[:, layer, q, k]), q, n)
            for index in cnots:
                state = state[:, index]
        return state, values(state)

    return by_cells(case, cell)


def fused(case: Case) -> Any:
    """Three rotations as one 2x2 matrix, the ring as one index."""
    n, values = case.n, read(case)
    index = torch.tensor(whole_ring(n))

    def cell(state: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        a, b, c = theta.view(-1, case.layers, n, 3).unbind(-1)
        cos, sin = torch.cos(b / 2), torch.sin(b / 2)
        plus = torch.polar(torch.ones_like(a), (a + c) / 2)
        minus = torch.polar(torch.ones_like(a), (a - c) / 2)
        u00, u01 = cos * plus.conj(), -sin * minus
        u10, u11 = sin * minus.conj(), cos * plus
        for layer in range(case.layers):
            for q in range(n):
                low, high = state.view(-1, 2**q, 2, 2 ** (n - q - 1)).unbind(2)
                entries = (u[:, layer, q, None, None] for u in (u00, u01, u10, u11))
                a00, a01, a10, a11 = entries
                state = torch.stack([a00 * low + a01 * high, a10 * low + a11 * high], 2)
                state = state.reshape(len(state), -1)
            state = state[:, index]
        return state, values(state)

    return by_cells(case, cell)


# --- libraries ------------------------------------------------------------------------------------


def pennylane(case: Case) -> Any:
    """default.qubit with backprop: one QNode a step, from the state that it got."""
    import pennylane as qml

    n, values = case.n, read(case)

    @qml.qnode(qml.device("default.qubit", wires=n), interface="torch", diff_method="backprop")
    def circuit(state: Tensor, theta: Tensor) -> Any:
        qml.StatePrep(state, wires=range(n), validate_norm=False)
        for layer in range(case.layers):
            for q in range(n):
                qml.Rot(*theta[layer, q], wires=q)
            for q in range(n):
                qml.CNOT(wires=[q, (q + 1) % n])
        return qml.state()

    def cell(state: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        state = circuit(state, theta.view(-1, case.layers, n, 3).permute(1, 2, 3, 0))
        return state, values(state).float()

    return by_cells(case, cell)


def torchquantum(case: Case) -> Any:
    pretend(
        "qiskit", "qiskit_aer", "qiskit_ibm_runtime", "qiskit_ibm_provider", "qiskit_nature",
        "pyscf", "torchpack.datasets", "torchvision",
    )  # fmt: skip
    import torchquantum as tq
    import torchquantum.functional as tqf

    device = tq.QuantumDevice(n_wires=case.n, bsz=case.batch)
    measure = tq.MeasureAll(tq.PauliZ)

    def cell(state: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        device.states = state.reshape(-1, *(2,) * case.n)
        theta = theta.view(-1, case.layers, case.n, 3)
        for layer in range(case.layers):
            for q in range(case.n):
                tqf.rot(device, wires=q, params=theta[:, layer, q])
            for q in range(case.n):
                tqf.cnot(device, wires=[q, (q + 1) % case.n])
        return device.states.flatten(1), measure(device)

    return by_cells(case, cell)


def kernel_times(step: Any, case: Case, clock: Callable[[Callable[[], Any]], float]) -> Any:
    """Milliseconds of the native kernel alone, and its share of the multiply-adds that the core
    can do: (8n + 22) vector instructions for each vector of amplitudes and layer."""
    from engine_micro import fma_peak

    from qrlang.backends.torch.native.road import _of

    kernel = _of(step.model).kernel(torch.float32)
    rows = data(case)[0].astype(np.float32)
    arrays = [step.model.get_parameter(w.name).detach().numpy() for w in kernel.plan.weights]
    gradient = np.ones((case.batch, 2), np.float32)
    forward = clock(lambda: kernel.forward([rows], arrays))
    _, saved = kernel.forward([rows], arrays)
    backward = clock(lambda: kernel.backward(saved, [gradient]))
    vectors = 2**case.n / kernel.fmt.lanes * case.layers * case.steps * case.batch
    least = (8 * case.n + 22) * vectors / fma_peak() * 1e3
    return {"kernel": forward + backward, "share": least / (forward + backward)}

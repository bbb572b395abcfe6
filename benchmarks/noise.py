"""Training with noise inside the loop: qrlang, density matrices by hand, PennyLane, in one run on
one core.

    python benchmarks/noise.py [n …]

`noisy.qrl`: two layers a step, each followed by depolarizing and damping on every qubit; 8 steps,
16 sequences. The median CPU time of a training step, and how far each route's loss is from ours:
all do the same work. PennyLane is left out where it is not installed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "QRLANG_THREADS": "1"}
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import torch  # noqa: E402
from compare import clock  # noqa: E402
from routes_torch import by_cells, own, ry, rz  # noqa: E402
from torch import Tensor  # noqa: E402
from work import Case, signs, whole_ring  # noqa: E402

STRENGTH = 0.005
SIZES = (3, 4, 6)


def qrlang_(case: Case) -> Any:
    import qrlang

    file = HERE / "noisy.qrl"
    return own(case, qrlang.load(file, n=case.n, layers=case.layers, p=STRENGTH, road="plain"))


def kraus() -> list[Tensor]:
    """Of both channels of a qubit, one after the other."""
    p, g = STRENGTH, 2 * STRENGTH
    paulis = torch.tensor([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]],
                           [[1, 0], [0, -1]]]).to(torch.complex64)  # fmt: skip
    depolarizing = [(1 - p) ** 0.5 * paulis[0], *((p / 3) ** 0.5 * q for q in paulis[1:])]
    damping = [torch.tensor([[1, 0], [0, (1 - g) ** 0.5]]), torch.tensor([[0, g**0.5], [0, 0]])]
    return [d.to(torch.complex64) @ k for d in damping for k in depolarizing]


def by_hand(case: Case) -> Any:
    """As one would write it: each qubit's matrix on rows and columns, each Kraus operator too."""
    n, operators = case.n, kraus()
    index, table = torch.tensor(whole_ring(n)), torch.tensor(signs(n), dtype=torch.float32)

    def both(rho: Tensor, u: Tensor, q: int) -> Tensor:
        left, right = 2**q, 2 ** (n - q - 1)
        split = rho.reshape(-1, left, 2, right, left, 2, right)
        u = u.expand(len(rho), 2, 2)
        out = torch.einsum("bij,bljrmks,bnk->blirmns", u, split, u.conj())
        return out.reshape(rho.shape)

    def cell(rho: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        angles = theta.view(-1, case.layers, n, 3)
        for layer in range(case.layers):
            for q in range(n):
                a, b, c = angles[:, layer, q].unbind(-1)
                rho = both(rho, rz(c) @ ry(b) @ rz(a), q)
            rho = rho[:, index][:, :, index]
            for q in range(n):
                rho = sum((both(rho, k, q) for k in operators), torch.zeros(()))
        return rho, rho.diagonal(dim1=1, dim2=2).real @ table

    return by_cells(case, cell, density=True)


def pennylane(case: Case) -> Any:
    """default.mixed with backprop: one QNode a step from the state that it got. It takes no batch
    of states, so sequences go one after the other."""
    import pennylane as qml

    n, table = case.n, torch.tensor(signs(case.n), dtype=torch.float32)

    @qml.qnode(qml.device("default.mixed", wires=n), interface="torch", diff_method="backprop")
    def circuit(rho: Tensor, theta: Tensor) -> Any:
        qml.QubitDensityMatrix(rho, wires=range(n))
        for layer in range(case.layers):
            for q in range(n):
                qml.RZ(theta[layer, q, 0], q)
                qml.RY(theta[layer, q, 1], q)
                qml.RZ(theta[layer, q, 2], q)
            for q in range(n):
                qml.CNOT(wires=[q, (q + 1) % n])
            for q in range(n):
                qml.DepolarizingChannel(STRENGTH, q)
                qml.AmplitudeDamping(2 * STRENGTH, q)
        return qml.density_matrix(range(n))

    def cell(rho: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        angles = theta.view(-1, case.layers, n, 3)
        pairs = zip(rho, angles, strict=True)
        rho = torch.stack([circuit(one, each).to(torch.complex64) for one, each in pairs])
        return rho, rho.diagonal(dim1=1, dim2=2).real @ table

    return by_cells(case, cell, density=True)


ROUTES: dict[str, Callable[[Case], Any]] = {
    "qrlang": qrlang_,
    "torch by hand": by_hand,
    "PennyLane, default.mixed": pennylane,
}


def main() -> None:
    torch.set_num_threads(1)
    sizes = [int(n) for n in sys.argv[1:]] or SIZES
    print(f"{'ms a training step':26}" + "".join(f"{f'n={n}':>22}" for n in sizes))
    cases = [Case(n, 2, 8, 16) for n in sizes]
    ours: list[tuple[float, float]] = []
    for name, build in ROUTES.items():
        if build is pennylane and not find_spec("pennylane"):
            print("PennyLane is not installed")
            continue
        cells = []
        for k, case in enumerate(cases):
            step = build(case)
            loss = step()  # of the first step; the next ones warm up
            spent = clock(step, 5)
            if build is qrlang_:
                ours.append((spent, loss))
                cells.append(f"{spent:.3g}")
            else:
                first, right = ours[k]
                cells.append(f"{spent:,.4g} ({spent / first:.0f}x, {abs(loss - right):.0e})")
        print(f"{name:26}" + "".join(f"{c:>22}" for c in cells), flush=True)


if __name__ == "__main__":
    main()

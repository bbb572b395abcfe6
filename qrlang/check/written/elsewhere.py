"""Names that other libraries have for things, and how they are said here."""

from __future__ import annotations

_MODULE = "functions and constants need no module: `pi`, `sin(x)`"
_READ = "an expectation value is read: `read Z(q[0])`"

NAMES_ELSEWHERE = {
    **dict.fromkeys(("np", "numpy", "math", "torch", "qml", "pnp", "jnp"), _MODULE),
    **dict.fromkeys(("expval", "expectation", "measure_all"), _READ),
    **dict.fromkeys(("dense", "Dense", "Linear"), "an affine layer is `linear(…)`"),
    "sample": "a measured bit: `let b = measure q[0]`",
    **dict.fromkeys(("cat", "stack", "hstack"), "values in one vector: `concat(a, b)`"),
    "einsum": "products of vectors and matrices are `dot`, `outer` and `matmul`",
    "argmax": "a hard choice has no slope: `softmax(scores)` is a soft one; a measured bit is hard",
    "True": "write `true`",
    "False": "write `false`",
    "None": "leave it out: what may be missing has a default",
    "PauliX": "write `X(q[0])`",
    "PauliY": "write `Y(q[0])`",
    "PauliZ": "write `Z(q[0])`",
}

_RATE = "it belongs to the optimizer: `optimizer = adam(lr: 1e-3)`"
_BALANCED = "where classes are rare, write `loss = cross_entropy(balanced: true)`"
SETTINGS_ELSEWHERE = {
    "lr": _RATE,
    "learning_rate": _RATE,
    "weight_decay": "it belongs to the optimizer: `optimizer = adamw(weight_decay: 0.01)`",
    "batch_size": "write `batch`",
    "num_epochs": "write `epochs`",
    "max_steps": "write `steps`",
    "momentum": "it belongs to the optimizer: `optimizer = sgd(momentum: 0.9)`",
    "label_smoothing": "it belongs to the loss: `loss = cross_entropy(smoothing: 0.1)`",
    "class_weight": _BALANCED,
    "class_weights": _BALANCED,
    "pos_weight": _BALANCED,
    "scheduler": "write `schedule`",
    "lr_scheduler": "write `schedule`",
    "accumulation_steps": "write `accumulate`",
    "ema": "write `average`",
    "ema_decay": "write `average`",
    "shuffle": "leave it out: every epoch has another order, the same again for the same `seed`",
    "dataset": "write `data`",
    "criterion": "write `loss`",
    "patience": "write `early_stopping`",
    "bptt": "write `truncate`",
    "gradient_clipping": "write `clip`",
    "out": "the command line says it: qrlc train --out DIR",
    "seeds": "the command line says it: qrlc train --seeds 5",
    "folds": "the command line says it: qrlc train --folds 5",
    "threads": "the command line says it: qrlc train --threads 2",
}

_U = "`u(theta, phi, lambda)` is any rotation of one qubit"
GATES_ELSEWHERE = {
    "rot": f"write `rz(a) q[0]  ry(b) q[0]  rz(c) q[0]`; {_U}",
    "u3": _U,
    "u2": f"{_U}; u2(a, b) is `u(pi / 2, a, b)`",
    "u1": "the phase of |1⟩ is `p(a)`",
    "phaseshift": "the phase of |1⟩ is `p(a)`",
    "barrier": "leave it out: gates on one qubit stay in order",
    "cnot": "write `cx q[0], q[1]`",
    "toffoli": "write `ccx q[0], q[1], q[2]`",
    "fredkin": "write `cswap q[0], q[1], q[2]`",
    "ccnot": "write `ccx q[0], q[1], q[2]`",
    "hadamard": "write `h q[0]`",
    "paulix": "write `x q[0]`",
    "pauliy": "write `y q[0]`",
    "pauliz": "write `z q[0]`",
    "sqrtx": "write `sx q[0]`",
}

"""Gates by hand in JAX, compiled as a whole: Kronecker halves, scan over time, each step
recomputed in the backward pass. Of what is in use, the fastest from 6 to 10 qubits."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from work import RATE, Case, data, signs, weights, whole_ring


def compiled(case: Case) -> Any:
    n, half = case.n, case.n // 2
    ring, table = jnp.asarray(whole_ring(n)), jnp.asarray(signs(n), jnp.float32)

    def rotations(theta: Any) -> Any:
        """[batch, layers, n, 3] -> [batch, layers, n, 2, 2]"""
        a, b, c = theta[..., 0], theta[..., 1], theta[..., 2]
        cos, sin = jnp.cos(b / 2), jnp.sin(b / 2)
        plus, minus = jnp.exp(0.5j * (a + c)), jnp.exp(0.5j * (a - c))
        rows = [cos * plus.conj(), -sin * minus, sin * minus.conj(), cos * plus]
        return jnp.stack(rows, -1).reshape(*a.shape, 2, 2)

    def kron(parts: list[Any]) -> Any:
        out = parts[0]
        for u in parts[1:]:
            size = 2 * out.shape[-1]
            out = jnp.einsum("bij,bkl->bikjl", out, u).reshape(-1, size, size)
        return out

    def cell(state: Any, theta: Any) -> Any:
        u = rotations(theta.reshape(-1, case.layers, n, 3))
        for layer in range(case.layers):
            left = kron([u[:, layer, q] for q in range(half)])
            right = kron([u[:, layer, q] for q in range(half, n)])
            matrix = state.reshape(-1, 2**half, 2 ** (n - half))
            state = (left @ matrix @ right.swapaxes(1, 2)).reshape(len(state), -1)[:, ring]
        return state, (state.real**2 + state.imag**2) @ table

    cell = jax.checkpoint(cell)

    def loss(own: Any, rows: Any, label: Any) -> Any:
        def one(carry: Any, row: Any) -> Any:
            state, z = carry
            seen = jnp.concatenate([row, z], 1)
            hidden = jnp.tanh(seen @ own["steer.w1"].T + own["steer.b1"])
            return cell(state, hidden @ own["steer.w2"].T + own["steer.b2"]), None

        state = jnp.zeros((case.batch, 2**n), jnp.complex64).at[:, 0].set(1)
        (_, z), _ = jax.lax.scan(one, (state, jnp.ones((case.batch, n))), rows)
        out = z @ own["head.w"].T + own["head.b"]
        return optax.softmax_cross_entropy_with_integer_labels(out, label).mean()

    optimizer = optax.adam(RATE)

    @jax.jit
    def train(own: Any, memory: Any, rows: Any, label: Any) -> Any:
        value, slope = jax.value_and_grad(loss)(own, rows, label)
        change, memory = optimizer.update(slope, memory, own)
        return optax.apply_updates(own, change), memory, value

    x, y = data(case)
    rows = jnp.asarray(np.swapaxes(x, 0, 1), jnp.float32)
    own = {name: jnp.asarray(w, jnp.float32) for name, w in weights(case).items()}
    held = {"own": own, "memory": optimizer.init(own)}

    def step() -> float:
        held["own"], held["memory"], value = train(
            held["own"], held["memory"], rows, jnp.asarray(y)
        )
        return float(value)

    return step

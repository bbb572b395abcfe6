"""Time series that equations make, step by step in plain numbers: the same on every machine."""

from __future__ import annotations

import math

import numpy as np

from qrlang.errors import DataError
from qrlang.training.data.ports import Array


def mackey_glass(tau: int, count: int) -> Array:
    """dx/dt = 0.2 x(t-tau) / (1 + x(t-tau)^10) - 0.1 x, Runge-Kutta with step 0.1, a sample each
    unit of time after the first 1,000; the delayed value at half steps is the mean of its
    neighbours, the past is 1.2."""
    step, per, skip = 0.1, 10, 1000
    lag = tau * per
    x = [1.2] * (lag + 1)
    for k in range(lag, lag + (skip + count) * per):
        now, before, after = x[k], x[k - lag], x[k - lag + 1]
        middle = 0.5 * (before + after)
        push = [0.2 * d / (1.0 + d**10) for d in (before, middle, after)]
        k1 = push[0] - 0.1 * now
        k2 = push[1] - 0.1 * (now + 0.5 * step * k1)
        k3 = push[1] - 0.1 * (now + 0.5 * step * k2)
        k4 = push[2] - 0.1 * (now + step * k3)
        x.append(now + step / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4))
    return np.array(x[lag + skip * per :: per][:count])


def lorenz(
    count: int, start: tuple[float, float, float] = (1.0, 1.0, 1.0), skip: int = 2000
) -> Array:
    """sigma 10, rho 28, beta 8/3, Runge-Kutta with step 0.001, a sample each 0.02 after the first
    `skip`."""
    step, per = 0.001, 20
    beta = 8.0 / 3.0
    x, y, z = start
    out = []
    for k in range((skip + count) * per):
        if k % per == 0:
            out.append((x, y, z))
        a1, b1, c1 = 10.0 * (y - x), x * (28.0 - z) - y, x * y - beta * z
        h = 0.5 * step
        u, v, w = x + h * a1, y + h * b1, z + h * c1
        a2, b2, c2 = 10.0 * (v - u), u * (28.0 - w) - v, u * v - beta * w
        u, v, w = x + h * a2, y + h * b2, z + h * c2
        a3, b3, c3 = 10.0 * (v - u), u * (28.0 - w) - v, u * v - beta * w
        u, v, w = x + step * a3, y + step * b3, z + step * c3
        a4, b4, c4 = 10.0 * (v - u), u * (28.0 - w) - v, u * v - beta * w
        x += step / 6.0 * (a1 + 2.0 * a2 + 2.0 * a3 + a4)
        y += step / 6.0 * (b1 + 2.0 * b2 + 2.0 * b3 + b4)
        z += step / 6.0 * (c1 + 2.0 * c2 + 2.0 * c3 + c4)
    return np.array(out[skip:])


def narma(order: int, count: int) -> tuple[Array, Array]:
    """Noise u, uniform from 0 to 0.5, and y[t+1], which it and the past make.

    Order 2: y' = 0.4 y + 0.4 y y[t-1] + 0.6 u³ + 0.1. Others up to 10:
    y' = 0.3 y + 0.05 y Σ y[t-order+1 … t] + 1.5 u[t-order+1] u[t] + 0.1. Above: the same with 0.01
    for 0.1 inside tanh(…) + 0.2, which keeps it bounded. Returned are u[t] and y[t+1].
    """
    for seed in range(1, 100):
        noise = np.random.RandomState(seed).uniform(0, 0.5, count)
        y = _narma(order, noise.tolist())
        if max(y) < 2:  # a rare run of noise drives it to infinity
            return noise, np.array(y[1:])
    raise DataError("bad-argument", f"NARMA of order {order} does not stay bounded")


def _narma(order: int, u: list[float]) -> list[float]:
    y = [0.0]
    total = 0.0
    for t, now in enumerate(u):
        total += y[t] - (y[t - order] if t >= order else 0.0)
        past = u[t - order + 1] if t >= order - 1 else 0.0
        if order == 2:
            new = 0.4 * y[t] + 0.4 * y[t] * (y[t - 1] if t else 0.0) + 0.6 * now**3 + 0.1
        else:
            new = 0.3 * y[t] + 0.05 * y[t] * total + 1.5 * past * now
            new = new + 0.1 if order <= 10 else math.tanh(new + 0.01) + 0.2
        if not abs(new) < 10:
            return [*y, math.inf]
        y.append(new)
    return y


def damped_sine(count: int) -> Array:
    """exp(-t/60) sin(t), ten samples in each unit of time."""
    t = np.arange(count) / 10.0
    found: Array = np.exp(-t / 60.0) * np.sin(t)
    return found


def temporal_parity(order: int, count: int) -> tuple[Array, Array]:
    """Bits, and at each moment the parity of the last `order` of them."""
    bits = np.random.RandomState(order).randint(0, 2, count + order)
    sums = np.convolve(bits, np.ones(order, int))[order : order + count]
    return bits[order:], sums % 2

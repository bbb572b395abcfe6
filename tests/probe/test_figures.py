"""The figures of the diagnostics, against values that are known or worked out here."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qrlang.ir.program import (
    Alloc,
    Angle,
    Gate,
    Initial,
    Program,
    Register,
    Term,
    Unitary,
    UseWeight,
    Value,
    Weight,
)
from qrlang.ir.types import real
from qrlang.probe import ansatz, batch, bloch, entropy, heat, trace


def ghz(n: int) -> np.ndarray:
    state = np.zeros(1 << n, complex)
    state[[0, -1]] = 1 / math.sqrt(2)
    return state


def some_state(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    state = rng.normal(size=1 << n) + 1j * rng.normal(size=1 << n)
    return state / np.linalg.norm(state)


def partial_trace(rho: np.ndarray, n: int, keep: list[int]) -> np.ndarray:
    """Entry by entry."""
    out = np.zeros((1 << len(keep), 1 << len(keep)), complex)
    for i in range(1 << n):
        for j in range(1 << n):
            bits = [[k >> (n - 1 - q) & 1 for q in range(n)] for k in (i, j)]
            if all(bits[0][q] == bits[1][q] for q in range(n) if q not in keep):
                a, b = (int("".join(str(x[q]) for q in keep), 2) for x in bits)
                out[a, b] += rho[i, j]
    return out


@pytest.mark.parametrize("keep", [[0], [2], [0, 2], [2, 1], [0, 1, 2]])
def test_reduced(keep: list[int]) -> None:
    state = some_state(3)
    rho = np.outer(state, state.conj())
    wanted = partial_trace(rho, 3, keep)
    assert np.allclose(trace.reduced(state, 3, keep), wanted)
    assert np.allclose(trace.reduced(rho, 3, keep), wanted)


def test_entropies() -> None:
    for n in (2, 3, 4):  # Bell, GHZ
        for cut in range(1, n):
            assert entropy.across(ghz(n), n, cut) == pytest.approx(1)
    product = np.kron(some_state(1, 1), some_state(2, 2))
    assert entropy.across(product, 3, 1) == pytest.approx(0, abs=1e-12)
    bells = np.kron(ghz(2), ghz(2)).reshape((2,) * 4).transpose(0, 2, 1, 3).reshape(-1)
    assert entropy.across(bells, 4, 2) == pytest.approx(2)
    w = np.zeros(8)
    w[[1, 2, 4]] = 1 / math.sqrt(3)
    wanted = -(math.log2(1 / 3) / 3 + math.log2(2 / 3) * 2 / 3)
    assert entropy.across(w, 3, 1) == pytest.approx(wanted)


def test_entropy_of_mixed_states() -> None:
    state = some_state(4)
    rho = np.outer(state, state.conj())
    assert entropy.across(rho, 4, 2) == pytest.approx(entropy.across(state, 4, 2))
    classical = np.diag([0.5, 0, 0, 0.5]).astype(complex)  # one bit of correlation
    assert entropy.across(classical, 2, 1) == pytest.approx(0.5)
    assert entropy.across(np.eye(4) / 4, 2, 1) == pytest.approx(0, abs=1e-12)


def test_the_entropy_of_random_states() -> None:
    assert entropy.page(1, 1) == pytest.approx(1 / 3 / math.log(2))
    found = [entropy.across(some_state(5, seed), 5, 2) for seed in range(400)]
    assert np.mean(found) == pytest.approx(entropy.page(2, 3), abs=0.02)
    assert entropy.page(3, 2) == entropy.page(2, 3)


def test_bloch_vectors() -> None:
    plus = np.array([1, 1]) / math.sqrt(2)
    right = np.array([1, 1j]) / math.sqrt(2)
    one = np.array([0, 1])
    state = np.kron(np.kron(plus, right), one)
    assert np.allclose(bloch.vectors(state, 3), np.array([[1, 0, 0], [0, 1, 0], [0, 0, -1]]))
    assert np.allclose(bloch.vectors(ghz(3), 3), 0)
    paulis = [np.array(m) for m in ([[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]])]
    state = some_state(2)
    wanted = [np.vdot(state, np.kron(np.eye(2), p) @ state).real for p in paulis]
    assert np.allclose(bloch.vectors(state, 2)[1], wanted)


def test_meyer_wallach() -> None:
    assert ansatz.meyer_wallach(ghz(4), 4) == pytest.approx(1)
    assert ansatz.meyer_wallach(np.eye(8)[3], 3) == pytest.approx(0)
    bell_and_zero = np.kron(ghz(2), [1, 0])
    assert ansatz.meyer_wallach(bell_and_zero, 3) == pytest.approx(2 / 3)
    found = np.mean([ansatz.meyer_wallach(some_state(4, s), 4) for s in range(300)])
    assert found == pytest.approx((2**4 - 2) / (2**4 + 1), abs=0.01)


# --- expressibility -----------------------------------------------------------------------------


def one_qubit(*names: str) -> Program:
    """Gates on one qubit, `rz`, `rx` with an angle each of its own."""
    count = sum(name != "h" for name in names)
    theta = Value(0, real(count), "theta")
    gates, k = [], 0
    for name in names:
        angle = () if name == "h" else (Angle(0.0, (Term(1.0, theta, k),)),)
        k += bool(angle)
        gates.append(Gate(name, (0,), angle))
    return Program(
        "one",
        weights=(Weight("theta", (count,), Initial("uniform", (-math.pi, math.pi))),),
        registers=(Register("q", 0, 1),),
        body=(Alloc((0,)), UseWeight(theta, "theta"), Unitary(tuple(gates))),
    )


def fidelities(program: Program, pairs: int) -> np.ndarray:
    states = ansatz.random_states(program, 2 * pairs, 0)
    return np.abs(np.sum(states[:pairs].conj() * states[pairs:], axis=1)) ** 2


def by_hand(found: np.ndarray, n: int) -> float:
    """The divergence, integrating Haar's density (N-1)(1-F)^(N-2) over each bin numerically."""
    total, size = 0.0, 1 << n
    for k in range(75):
        grid = np.linspace(k / 75, (k + 1) / 75, 2001)
        share = np.trapezoid((size - 1) * (1 - grid) ** (size - 2), grid)
        inside = np.mean((found >= k / 75) & ((found < (k + 1) / 75) | (k == 74)))
        total += inside * math.log(inside / share) if inside else 0.0
    return total


def test_expressibility_of_known_circuits() -> None:
    """The circuits on one qubit of Sim et al., figure 1."""
    circle = fidelities(one_qubit("h", "rz"), 5000)
    sphere = fidelities(one_qubit("h", "rz", "rx"), 5000)
    exact = np.random.default_rng(5).random(5000)  # Haar on one qubit: uniform
    for found in (circle, sphere, exact):
        assert ansatz.divergence(found, 1) == pytest.approx(by_hand(found, 1), rel=1e-6)
    # States on a circle meet with F = cos²(φ/2), φ uniform: the divergence in closed form.
    edges = np.linspace(0, 1, 76)
    share = np.diff(1 - np.arccos(np.sqrt(edges)) * 2 / math.pi)
    assert ansatz.divergence(circle, 1) == pytest.approx(
        np.sum(share * np.log(share * 75)), abs=0.03
    )
    assert ansatz.divergence(circle, 1) == pytest.approx(0.226, abs=0.04)
    assert ansatz.divergence(sphere, 1) < 0.05
    idle = np.ones(100)
    assert ansatz.divergence(idle, 1) == pytest.approx(math.log(75))  # as in the paper: 4.32
    assert ansatz.divergence(idle, 2) == pytest.approx(3 * math.log(75))
    assert math.isfinite(ansatz.divergence(idle, 10))


def test_haar_states_have_no_divergence() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 4, 8):
        found = rng.beta(1, (1 << n) - 1, 20_000)
        assert ansatz.divergence(found, n) == pytest.approx(by_hand(found, n), abs=1e-5)
        assert ansatz.divergence(found, n) < 0.005


def test_batches_are_what_the_interpreter_says() -> None:
    from qrlang.backends.reference import run
    from qrlang.ir.program import Evolve

    theta = Value(0, real(6), "theta")

    def angle(k: int, by: float = 1.0) -> Angle:
        return Angle(0.25, (Term(by, theta, k),))

    gates = (
        Gate("h", (0,)), Gate("ry", (1,), (angle(0),)), Gate("rx", (2,), (angle(1),), (0,), (1,)),
        Gate("u", (1,), (angle(2), angle(3), angle(4))), Gate("rzx", (2, 0), (angle(5, -2.0),)),
        Gate("swap", (1, 2), (), (0,)), Gate("xx_plus_yy", (0, 2), (angle(1),)),
    )  # fmt: skip
    terms = ((angle(0), ((0, "X"), (2, "Z"))), (Angle(0.7), ((1, "Y"),)))
    program = Program(
        "all", weights=(Weight("theta", (6,), Initial("uniform", (-3.0, 3.0))),),
        registers=(Register("q", 0, 3),),
        body=(Alloc((0, 1, 2)), UseWeight(theta, "theta"), Unitary(gates),
              Evolve(terms, angle(2)), Evolve(terms, angle(3), 2)),
    )  # fmt: skip
    given = np.random.default_rng(1).uniform(-3, 3, (3, 6))
    found = batch.states(program, given)
    for row, state in zip(given, found, strict=True):
        assert np.allclose(state, run(program, weights={"theta": row}).states[0])


def test_pictures_of_fields() -> None:
    one = heat.Map("step", "cut", [[0.0, 0.5], [-1.0, 1.0]], ["a", "b"], "bits")
    picture = heat.below(heat.beside(one.picture(), one.picture()), one.picture())
    assert (picture.width, picture.height) == (2 * one.width, 2 * one.height)
    colours = [s.colour for s in one.picture().shapes if hasattr(s, "colour")]
    assert "#08306b" in colours and "#662506" in colours and "#ffffff" in colours

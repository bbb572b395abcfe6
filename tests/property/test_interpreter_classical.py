"""Classical ops, recurrences, evolution, weights and inputs of the interpreter."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from strategies import strings

from qrlang.backends.reference import RunError, initial_weights, run
from qrlang.gates import GATES, PAULI
from qrlang.ir.functions import FUNCTIONS
from qrlang.ir.program import (
    Alloc,
    Angle,
    Evolve,
    Expect,
    Initial,
    Output,
    PauliString,
    Program,
    Register,
    Value,
    Weight,
)
from qrlang.ir.text import parse_program
from qrlang.ir.types import real
from qrlang.ir.verify import verify


def program(text: str) -> Program:
    found = parse_program(f"program p {{ {text} }}")
    assert verify(found) == []
    return found


# --- functions and ops --------------------------------------------------------------------------

X = np.array([-2.5, -0.4, 0.0, 0.3, 0.9, 3.0])
Y = np.array([0.5, 2.0, -1.0, 3.0, 0.25, -2.0])

# From their definitions in words, one number at a time.
BY_HAND = {
    "neg": lambda x: -x,
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "pow": lambda x, y: math.exp(y * math.log(abs(x) + 1)),
    "minimum": min,
    "maximum": max,
    "where": lambda x, y, z: y if x > 0.5 else z,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": lambda x: math.asin(max(-1, min(1, x))),
    "acos": lambda x: math.acos(max(-1, min(1, x))),
    "atan": math.atan,
    "exp": math.exp,
    "log": lambda x: math.log(abs(x) + 1),
    "sqrt": lambda x: math.sqrt(abs(x) + 1),
    "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0),
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "relu": lambda x: x if x > 0 else 0,
    "leaky_relu": lambda x: x if x > 0 else x / 100,
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "silu": lambda x: x / (1 + math.exp(-x)),
    "gelu": lambda x: x * scipy.special.ndtr(x),
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "identity": lambda x: x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function(name: str) -> None:
    count = FUNCTIONS[name].args
    # Where the definition needs it, the first argument is positive.
    first = np.abs(X) + 1 if name in ("log", "sqrt", "pow") else X
    args = ("%a.0", "%b.1", "%c.2")[:count]
    p = program(
        "input %a.0 : real[6] input %b.1 : real[6] input %c.2 : real[6]"
        f"%y.3 : real[6] = {name}({', '.join(args)}) return %y.3"
    )
    outputs = run(p, {"a": first, "b": Y, "c": X}).outputs[""]
    rows = zip(X.tolist(), Y.tolist(), X.tolist(), strict=True)
    assert np.allclose(outputs, [BY_HAND[name](*row[:count]) for row in rows], atol=1e-14)


def test_functions_at_large_numbers() -> None:
    p = program(
        "input %x.0 : real[2]"
        "%a.1 : real[2] = sigmoid(%x.0) %b.2 : real[2] = softplus(%x.0) %c.3 : real[2] = silu(%x.0)"
        "return a = %a.1 return b = %b.2 return c = %c.3"
    )
    found = run(p, {"x": [-1000.0, 1000.0]}).outputs
    assert np.array_equal(found["a"], [0, 1]) and np.array_equal(found["b"], [0, 1000])
    assert np.array_equal(found["c"], [0, 1000])


def test_a_scalar_goes_with_any_shape() -> None:
    p = program(
        "input %x.0 : real[2, 3] %two.1 : real = const [2.0]"
        "%y.2 : real[2, 3] = mul(%x.0, %two.1) return %y.2"
    )
    x = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(run(p, {"x": x}).outputs[""], 2 * x)


def test_shapes_and_reductions() -> None:
    p = program("""
      input %x.0 : real[2, 3]
      input %b.20 : bit[2]
      %cat.1 : real[8] = concat(%x.0, %b.20)
      %got.2 : real[2, 2] = gather %x.0[5, 0, 0, 3]
      %turned.3 : real[3, 2] = reshape %x.0
      %all.4 : real = reduce sum %x.0
      %mean.5 : real[2] = reduce mean %x.0 last_axis
      %max.6 : real[2] = reduce max %x.0 last_axis
      %min.7 : real = reduce min %x.0
      %norm.8 : real[2] = reduce norm %x.0 last_axis
      %prod.9 : real[2] = reduce prod %x.0 last_axis
      %mv.10 : real[3] = matmul %turned.3, %mean.5
      %mm.11 : real[2, 2] = matmul %x.0, %turned.3
      %dot.12 : real = matmul %mean.5, %max.6
      %soft.13 : real[2, 3] = softmax %x.0
      %same.14 : real[2, 3] = dropout %x.0, 0.5
      return cat = %cat.1 return got = %got.2 return all = %all.4 return mean = %mean.5
      return max = %max.6 return min = %min.7 return norm = %norm.8 return prod = %prod.9
      return mv = %mv.10 return mm = %mm.11 return dot = %dot.12 return soft = %soft.13
      return same = %same.14
    """)
    x = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])
    found = run(p, {"x": x, "b": [1, 0]}).outputs
    assert found["cat"].tolist() == [1, -2, 3, 0.5, 4, -1, 1, 0]
    assert found["got"].tolist() == [[-1, 1], [1, 0.5]]
    assert found["all"] == 5.5 and found["min"] == -2 and found["max"].tolist() == [3, 4]
    assert np.allclose(found["mean"], [2 / 3, 3.5 / 3])
    assert np.allclose(found["norm"], [math.sqrt(14), math.sqrt(17.25)])
    assert found["prod"].tolist() == [-6, -2]
    turned = [[1, -2], [3, 0.5], [4, -1]]
    mean = [2 / 3, 3.5 / 3]
    assert np.allclose(
        found["mv"], [sum(a * b for a, b in zip(r, mean, strict=True)) for r in turned]
    )
    assert np.allclose(found["mm"], [[1 - 6 + 12, -2 - 1 - 3], [0.5 + 12 - 4, -1 + 2 + 1]])
    assert np.isclose(found["dot"], 2 + 4 * 3.5 / 3)
    assert np.allclose(found["soft"], scipy.special.softmax(x, axis=1))
    assert np.array_equal(found["same"], x)


def test_layers() -> None:
    p = program("""
      input %x.0 : real[2, 2]
      input %w.1 : token[3]
      weight @a.w : real[2, 4] = uniform(-1.0, 1.0)
      weight @a.b : real[2] = uniform(-1.0, 1.0)
      weight @e : real[3, 2] = normal(0.0, 1.0)
      weight @s : real[2] = normal(0.0, 1.0)
      weight @t : real[2] = normal(0.0, 1.0) frozen
      %y.2 : real[2] = linear %x.0, @a.w, @a.b gain 16.0
      %z.3 : real[2] = linear %x.0, @a.w
      %e.4 : real[2] = embed %w.1, @e
      %n.5 : real[2, 2] = layer_norm %x.0, @s, @t
      %t.6 : real[2] = weight @t
      return y = %y.2 return z = %z.3 return e = %e.4 return n = %n.5 return t = %t.6
    """)
    w = initial_weights(p, 3)
    x = np.array([[1.0, 2.0], [-1.0, 0.5]])
    found = run(p, {"x": x, "w": 2}, weights=w).outputs
    flat = w["a.w"] @ [1, 2, -1, 0.5]
    assert np.allclose(found["z"], flat) and np.allclose(found["y"], 16 * flat + w["a.b"])
    assert np.array_equal(found["e"], w["e"][2]) and np.array_equal(found["t"], w["t"])
    for row, normal in zip(x, found["n"], strict=True):
        m, v = row.mean(), row.var()
        assert np.allclose(normal, (row - m) / math.sqrt(v + 1e-5) * w["s"] + w["t"])
    assert np.array_equal(run(p, {"x": x, "w": 2}, seed=3).outputs["y"], found["y"])


def test_whole_sequences() -> None:
    p = program("""
      input %x.0 : seq[real[2]]
      input %t.1 : seq[token[9]]
      %a.2 : seq[real[2]] = shift %x.0
      %b.3 : seq[token[9]] = shift %t.1 start 7
      %c.4 : seq[real[2]] = reverse %x.0
      %d.5 : real[4, 2] = last %x.0, 4
      %e.6 : real[2, 2] = last %x.0, 2
      %f.7 : real[2] = pool mean %x.0
      %g.8 : real[2] = pool max %x.0
      %h.9 : real[2] = pool sum %x.0
      return a = %a.2 return b = %b.3 return c = %c.4 return d = %d.5 return e = %e.6
      return f = %f.7 return g = %g.8 return h = %h.9
    """)
    x = [[1, 2], [3, -4], [5, 6]]
    found = run(p, {"x": x, "t": [3, 4, 5]}).outputs
    assert found["a"].tolist() == [[0, 0], [1, 2], [3, -4]]
    assert found["b"].tolist() == [7, 3, 4]
    assert found["c"].tolist() == [[5, 6], [3, -4], [1, 2]]
    assert found["d"].tolist() == [[0, 0], [1, 2], [3, -4], [5, 6]]
    assert found["e"].tolist() == [[3, -4], [5, 6]]
    assert np.allclose(found["f"], [3, 4 / 3])
    assert found["g"].tolist() == [5, 6] and found["h"].tolist() == [9, 4]
    with pytest.raises(RunError, match="the sequence x is empty"):
        run(p, {"x": np.zeros((0, 2)), "t": []})


SCORES = {
    "dot": ("", lambda q, k, w: q @ k),
    "scaled": ("", lambda q, k, w: q @ k / math.sqrt(2)),
    "bilinear": ("with @m", lambda q, k, w: q @ (w["m"] @ k)),
    "additive": (
        "with @a, @b, @c, @v",
        lambda q, k, w: w["v"] @ np.tanh(w["a"] @ q + w["b"] @ k + w["c"]),
    ),
}


@pytest.mark.parametrize("score", SCORES)
def test_attention(score: str) -> None:
    weights, by_hand = SCORES[score]
    p = program(f"""
      input %q.0 : real[2]
      input %k.1 : seq[real[2]]
      input %v.2 : seq[real[3]]
      weight @m : real[2, 2] = normal(0.0, 1.0)
      weight @a : real[4, 2] = normal(0.0, 1.0)
      weight @b : real[4, 2] = normal(0.0, 1.0)
      weight @c : real[4] = normal(0.0, 1.0)
      weight @v : real[4] = normal(0.0, 1.0)
      %y.3 : real[3] = attend {score} %q.0 over %k.1, %v.2 {weights}
      return %y.3
    """)
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=2), rng.normal(size=(5, 2)), rng.normal(size=(5, 3))
    w = initial_weights(p)
    e = np.exp([by_hand(q, key, w) for key in k])
    expected = sum(a * value for a, value in zip(e / e.sum(), v, strict=True))
    assert np.allclose(run(p, {"q": q, "k": k, "v": v}, weights=w).outputs[""], expected)
    with pytest.raises(RunError, match="5 weights for 4 moments of v"):
        run(p, {"q": q, "k": k, "v": v[:4]})


def test_attention_from_scores_of_a_users_own() -> None:
    p = program("""
      input %s.0 : seq[real]
      input %v.1 : seq[real[2]]
      %a.2 : seq[real] = softmax_over %s.0
      %y.3 : real[2] = weighted_sum %a.2, %v.1
      return %y.3
    """)
    s, v = [0.0, math.log(3)], [[1, 2], [5, 6]]
    assert np.allclose(run(p, {"s": s, "v": v}).outputs[""], [4, 5])


def test_layers_of_the_users_own() -> None:
    p = program("""
      input %x.0 : real[2]
      input %s.1 : seq[real]
      extern twice : (real[2], seq[real]) -> real[3] = "mine.layers:Twice"(k = 3)
      %y.2 : real[3] = call twice(%x.0, %s.1)
      return %y.2
    """)
    given_inputs = {"x": [1, 2], "s": [1, 1, 1, 1]}
    found = run(p, given_inputs, externs={"twice": lambda x, s: [*x, len(s)]})
    assert found.outputs[""].tolist() == [1, 2, 4]
    with pytest.raises(RunError, match="'twice' is a user's own"):
        run(p, given_inputs)
    with pytest.raises(RunError, match=r"'twice' gave \[1\] for real\[3\]"):
        run(p, given_inputs, externs={"twice": lambda x, s: [0.0]})


# --- recurrences --------------------------------------------------------------------------------


def test_a_recurrence_with_extra_steps_and_a_flag() -> None:
    p = program("""
      input %x.0 : seq[real]
      input %w.1 : seq[token[5]]
      weight @e : real[5, 1] = values(10.0, 20.0, 30.0, 40.0, 50.0)
      %zero.2 : real = const [0.5]
      loop step (%x.3 : real in %x.0, %w.4 : token[5] in %w.1)
        carry(%h.5 : real = %zero.2, %old.6 : real = %zero.2) extra 2 flag %f.7 : real {
        %e.8 : real[1] = embed %w.4, @e
        %e.9 : real = reshape %e.8
        %a.10 : real = add(%h.5, %x.3)
        %b.11 : real = add(%e.9, %f.7)
      } next(%last.12 : real = %a.10, %before.13 : real = %h.5)
        emit(h %hs.14 : seq[real] = %a.10, b %bs.15 : seq[real] = %b.11)
      return last = %last.12 return before = %before.13 return hs = %hs.14 return bs = %bs.15
    """)
    found = run(p, {"x": [1, 2, 3], "w": [4, 3, 2]}).outputs
    assert found["hs"].tolist() == [1.5, 3.5, 6.5, 6.5, 6.5]
    assert found["bs"].tolist() == [50, 40, 30, 11, 11]
    assert found["last"] == 6.5 and found["before"] == 6.5
    with pytest.raises(RunError, match="loop step: the sequences x and w have 2 and 3 moments"):
        run(p, {"x": [1, 2], "w": [4, 3, 2]})
    nothing = run(p, {"x": [], "w": []}).outputs
    assert nothing["hs"].tolist() == [0.5, 0.5]


def test_a_qrnn_written_by_hand() -> None:
    """The model of the README at n = 3, once in the IR and once in plain NumPy."""
    n, d, hidden = 3, 4, 5
    gates = [
        f"{g}(%theta.8[{3 * i + k}]) q{i}"
        for i in range(n)
        for k, g in enumerate(("rz", "ry", "rz"))
    ]
    gates += [f"cx q{i}, q{(i + 1) % n}" for i in range(n)]
    p = program(f"""
      input %rows.0 : seq[real[{d}]]
      weight @w1 : real[{hidden}, {d + n}] = uniform(-1.0, 1.0)
      weight @b1 : real[{hidden}] = uniform(-1.0, 1.0)
      weight @w2 : real[{3 * n}, {hidden}] = uniform(-1.0, 1.0)
      weight @b2 : real[{3 * n}] = uniform(-3.0, 3.0)
      weight @head : real[2, {n}] = uniform(-1.0, 1.0)
      qubits memory[{n}] at q0
      alloc q0, q1, q2
      loop step (%row.1 : real[{d}] in %rows.0) {{
        %z.2 : real[{n}] = expect [Z0, Z1, Z2]
        %in.3 : real[{d + n}] = concat(%row.1, %z.2)
        %h.4 : real[{hidden}] = linear %in.3, @w1, @b1
        %h.5 : real[{hidden}] = tanh(%h.4)
        %theta.8 : real[{3 * n}] = linear %h.5, @w2, @b2
        unitary {{ {" ".join(gates)} }}
      }}
      %z.9 : real[{n}] = expect [Z0, Z1, Z2]
      %y.10 : real[2] = linear %z.9, @head gain 16.0
      return %y.10
    """)
    w = initial_weights(p, 1)
    rows = np.random.default_rng(2).normal(size=(6, d))

    def on(q: int, matrix: np.ndarray) -> np.ndarray:
        return np.kron(np.kron(np.eye(2**q), matrix), np.eye(2 ** (n - 1 - q)))

    def cnot(c: int, t: int) -> np.ndarray:
        zero, one = np.diag([1, 0]), np.diag([0, 1])
        return on(c, zero) + on(c, one) @ on(t, np.array([[0, 1], [1, 0]]))

    def rz(a: float) -> np.ndarray:
        return np.diag([np.exp(-0.5j * a), np.exp(0.5j * a)])

    def ry(a: float) -> np.ndarray:
        c, s = math.cos(a / 2), math.sin(a / 2)
        return np.array([[c, -s], [s, c]])

    psi = np.eye(2**n, dtype=complex)[0]
    z_of = [np.diagonal(on(q, np.diag([1, -1]))) for q in range(n)]
    for row in rows:
        z = [np.sum(np.abs(psi) ** 2 * s) for s in z_of]
        theta = w["w2"] @ np.tanh(w["w1"] @ [*row, *z] + w["b1"]) + w["b2"]
        for q, (a, b, c) in enumerate(theta.reshape(n, 3)):
            psi = on(q, rz(c) @ ry(b) @ rz(a)) @ psi
        for q in range(n):
            psi = cnot(q, (q + 1) % n) @ psi
    z = [np.sum(np.abs(psi) ** 2 * s) for s in z_of]
    result = run(p, {"rows": rows}, weights=w)
    assert np.allclose(result.outputs[""], 16 * w["head"] @ z, atol=1e-12)
    assert np.allclose(result.states[0], psi, atol=1e-12)


def test_a_circuit_as_a_layer_begins_anew_at_every_call() -> None:
    p = program("""
      input %x.0 : seq[real]
      qubits m[1] at q0
      qubits layer[2] at q1 space 1
      alloc q0
      loop step (%x.1 : real in %x.0) {
        alloc q1, q2
        unitary { ry(%x.1) q1  cx q1, q2 }
        %z.2 : real[1] = expect [Z2]
        free q2
        unitary { x q1 }
        free q1
        unitary { rx(%z.2[0]) q0 }
      } emit(z %zs.3 : seq[real[1]] = %z.2)
      %z.4 : real[1] = expect [Z0]
      return zs = %zs.3
      return z = %z.4
    """)
    x = np.array([0.3, 1.0, -2.0])
    result = run(p, {"x": x})
    assert np.allclose(result.outputs["zs"][:, 0], np.cos(x))
    assert np.allclose(result.outputs["z"], math.cos(np.cos(x).sum()))
    assert list(result.states) == [0]


# --- values that are states and matrices --------------------------------------------------------


def test_states_and_unitaries_as_data() -> None:
    p = program("""
      input %psi.0 : seq[state[2]]
      input %u.1 : unitary[2]
      input %a.2 : real[2]
      qubits q[4] at q0
      alloc q0, q3
      loop step (%psi.3 : state[2] in %psi.0) {
        alloc q1, q2
        prepare %psi.3 on q2, q1
        apply %u.1 adjoint to q1, q2 ctrl(!q0)
        %p.4 : real[4] = probs q1, q2
        free q1, q2
      } emit(p %ps.5 : seq[real[4]] = %p.4)
      prepare %a.2 on q3
      %z.6 : real[1] = expect [Z3]
      return p = %ps.5
      return z = %z.6
    """)
    rng = np.random.default_rng(1)
    u = np.linalg.qr(rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4)))[0]
    psi = rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4))
    psi /= np.linalg.norm(psi, axis=1, keepdims=True)
    found = run(p, {"psi": psi, "u": u, "a": [3, 4]}).outputs
    swapped = psi.reshape(3, 2, 2).transpose(0, 2, 1).reshape(3, 4)  # prepared on q2, q1
    expected = np.abs(swapped @ u.conj()) ** 2
    assert np.allclose(found["p"], expected)
    assert np.allclose(found["z"], (9 - 16) / 25)
    with pytest.raises(RunError, match="input 'u' has to be unitary"):
        run(p, {"psi": psi, "u": 2 * u, "a": [3, 4]})
    with pytest.raises(RunError, match="input 'psi' has to be normalised"):
        run(p, {"psi": 2 * psi, "u": u, "a": [3, 4]})
    with pytest.raises(RunError, match="the amplitudes a can't be normalised"):
        run(p, {"psi": psi, "u": u, "a": [0, 0]})


def test_amplitudes_need_fresh_qubits() -> None:
    p = program("""
      input %a.0 : real[2]
      qubits q[1] at q0
      alloc q0
      unitary { ry(0.1) q0 }
      prepare %a.0 on q0
    """)
    with pytest.raises(RunError, match="the qubits that a is prepared on are not"):
        run(p, {"a": [1, 1]})


def test_trained_unitaries() -> None:
    p = program("""
      weight @u : real[16] = normal(0.0, 1.0) unitary 2
      weight @h : real[16] = haar unitary 2
      weight @i : real[16] = identity unitary 2
      qubits q[2] at q0
      alloc q0, q1
      %u.0 : unitary[2] = weight @u
      %h.1 : unitary[2] = weight @h
      %i.2 : unitary[2] = weight @i
      unitary { h q0  ry(0.3) q1 }
      apply %u.0 to q0, q1
      apply %h.1 to q0, q1
      apply %i.2 to q0, q1
      return u = %u.0 return h = %h.1 return i = %i.2
    """)
    w = initial_weights(p, 9)
    result = run(p, weights=w)
    words = [np.kron(PAULI[a], PAULI[b]) for a in "IXYZ" for b in "IXYZ"]
    for name in "uhi":
        h = sum(c * word for c, word in zip(w[name], words, strict=True))
        assert np.allclose(result.outputs[name], expm(-1j * h))
    assert np.array_equal(w["i"], np.zeros(16))
    start = np.kron(np.array(GATES["h"].matrix())[:, 0], np.array(GATES["ry"].matrix(0.3))[:, 0])
    assert np.allclose(result.states[0], result.outputs["h"] @ result.outputs["u"] @ start)


# --- evolution ----------------------------------------------------------------------------------


def dense(string: PauliString, n: int) -> np.ndarray:
    letters, matrix = dict(string), np.eye(1)
    for q in range(n):
        matrix = np.kron(matrix, PAULI[letters.get(q, "I")])
    return matrix


terms_of = st.lists(
    st.tuples(st.floats(-2, 2, allow_subnormal=False), strings((0, 1, 2), 0)),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize("dense_up_to", [8, 0], ids=["eigenvalues", "series"])
@settings(max_examples=40)
@given(terms_of, st.floats(-4, 4), st.integers(0, 5), st.sampled_from(("statevector", "density")))
def test_evolution_is_the_exponential(
    dense_up_to: int,
    terms: list[tuple[float, PauliString]],
    time: float,
    trotter: int,
    method: str,
) -> None:
    out = Value(0, real(1))
    evolve = Evolve(tuple((Angle(c), s) for c, s in terms), Angle(time), trotter)
    p = Program(
        "p",
        registers=(Register("q", 0, 3),),
        body=(Alloc((0, 1, 2)), evolve, Expect(out, (((1.0, ((0, "Z"),)),),))),
        outputs=(Output("", out),),
    )
    assert verify(p) == []
    if trotter:
        step = np.eye(8)
        for c, s in terms:
            step = expm(-1j * time / trotter * c * dense(s, 3)) @ step
        u = np.linalg.matrix_power(step, trotter)
    else:
        u = expm(-1j * time * sum(c * dense(s, 3) for c, s in terms))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qrlang.backends.reference.gates.DENSE", dense_up_to)
        found = run(p, method=method).states[0]
    column = u[:, 0] if any(s for _, s in terms) else np.eye(8)[0]  # a phase alone is not kept
    expected = column if method == "statevector" else np.outer(column, column.conj())
    assert np.allclose(found, expected, atol=1e-11)


def test_an_evolution_that_never_ends() -> None:
    p = program("""
      input %t.0 : real
      qubits q[1] at q0
      alloc q0
      evolve [(1.0) X0] time %t.0
    """)
    run(p, {"t": 100.0})
    with pytest.raises(RunError, match="too long"):
        run(p, {"t": 1e9})


# --- weights and inputs -------------------------------------------------------------------------


def weights_of(*weights: Weight) -> Program:
    return Program("w", weights=weights)


def test_initial_weights() -> None:
    p = weights_of(
        Weight("u", (40, 50), Initial("uniform", (-2.0, 3.0))),
        Weight("n", (40, 50), Initial("normal", (1.0, 0.5))),
        Weight("c", (2, 2), Initial("constant", (0.25,))),
        Weight("i", (3, 2), Initial("identity")),
        Weight("v", (2, 1), Initial("values", (1.0, 2.0))),
        Weight("tall", (6, 2, 2), Initial("orthogonal", (3.0,))),
        Weight("wide", (3, 7), Initial("orthogonal")),
        Weight("s", (), Initial("uniform", (0.0, 1.0))),
    )
    w = initial_weights(p, 4)
    assert w["u"].shape == (40, 50) and -2 <= w["u"].min() < -1.9 and 2.9 < w["u"].max() <= 3
    assert abs(w["n"].mean() - 1) < 0.06 and abs(w["n"].std() - 0.5) < 0.03
    assert np.all(w["c"] == 0.25) and np.array_equal(w["i"], [[1, 0], [0, 1], [0, 0]])
    assert w["v"].tolist() == [[1], [2]] and w["s"].shape == ()
    tall = w["tall"].reshape(6, 4)
    assert np.allclose(tall.T @ tall, 9 * np.eye(4))
    assert np.allclose(w["wide"] @ w["wide"].T, np.eye(3))
    again = initial_weights(weights_of(p.weights[1]), 4)
    assert np.array_equal(again["n"], w["n"])  # whatever else there is
    assert not np.array_equal(initial_weights(p, 5)["n"], w["n"])


ASKS = """
  input %x.0 : seq[real[2]]
  input %w.1 : token[5]
  input %b.2 : bit[2]
  target %y.3 : class[4]
  target %t.4 : seq[real]
  weight @w : real[2] = constant(1.0)
  weight @table : real[4, 1] = constant(1.0)
  %use.5 : real[1] = embed %y.3, @table
  return %use.5
"""
GOOD = {"x": [[1, 2]], "w": 4, "b": [0, 1]}
NOT_A_NUMBER = float("nan")


@pytest.mark.parametrize(
    "change,message",
    [
        ({"x": None}, r"the input 'x' (seq[real[2]]) is missing"),
        ({"z": 1}, "there is no input 'z' (there are: x, w, b)"),
        ({"x": [1, 2]}, "input 'x' is seq[real[2]]: an array [T, 2], not [2]"),
        ({"x": [[1, 2, 3]]}, "input 'x' is seq[real[2]]: an array [T, 2], not [1, 3]"),
        ({"x": [[1, 2], [3]]}, "input 'x' has to be an array of numbers (seq[real[2]])"),
        ({"x": "many"}, "input 'x' has to be an array of numbers (seq[real[2]])"),
        ({"x": [[1, NOT_A_NUMBER]]}, "input 'x' is not a number at [0, 1]"),
        ({"x": [[math.inf, 1]]}, "input 'x' is infinite at [0, 0]"),
        ({"w": 5}, "input 'w' has to be whole numbers from 0 to 4"),
        ({"w": 0.5}, "input 'w' has to be whole numbers from 0 to 4"),
        ({"w": [1]}, "input 'w' is token[5]: an array [], not [1]"),
        ({"b": [0, 2]}, "input 'b' has to be zeros and ones"),
    ],
)
def test_inputs_that_do_not_fit(change: dict[str, object], message: str) -> None:
    inputs = {k: v for k, v in (GOOD | change).items() if v is not None}
    with pytest.raises(RunError) as caught:
        run(program(ASKS), inputs, {"y": 1})
    assert str(caught.value) == message


def test_targets_are_needed_only_when_used() -> None:
    assert run(program(ASKS), GOOD, {"y": 1}).outputs[""] == 1
    with pytest.raises(RunError, match=r"the target 'y' \(class\[4\]\) is missing"):
        run(program(ASKS), GOOD)
    with pytest.raises(RunError, match=r"there is no target 'q' \(there are: y, t\)"):
        run(program(ASKS), GOOD, {"y": 1, "q": 1})


def test_weights_that_do_not_fit() -> None:
    w = initial_weights(program(ASKS))
    for change, message in (
        ({}, "the weight 'w' is missing"),
        ({**w, "w": [1]}, r"the weight 'w' is \[2\], not \[1\]"),
        ({**w, "w": [1, NOT_A_NUMBER]}, r"weight 'w' is not a number at \[1\]"),
    ):
        with pytest.raises(RunError, match=message):
            run(program(ASKS), GOOD, {"y": 1}, weights=change)


def test_an_angle_that_is_no_number() -> None:
    p = program("""
      input %x.0 : real
      qubits q[1] at q0
      alloc q0
      %l.1 : real = log(%x.0)
      unitary { rx(%l.1) q0 }
    """)
    with pytest.raises(RunError, match="an angle from l is nan"):
        run(p, {"x": -1})


def test_a_channel_that_is_none() -> None:
    p = program("""
      input %x.0 : real
      qubits q[1] at q0
      alloc q0
      channel bit_flip(%x.0) q0
    """)
    with pytest.raises(RunError, match=r"bit_flip\(1.5\): these are not probabilities"):
        run(p, {"x": 1.5})


def test_a_state_that_is_too_large() -> None:
    many = ", ".join(f"q{i}" for i in range(14))
    p = program(f"qubits q[14] at q0  alloc {many}  channel bit_flip(0.1) q0")
    with pytest.raises(RunError, match="too large for the reference interpreter"):
        run(p)


def test_twelve_qubits() -> None:
    n = 12
    pairs = "  ".join(f"cx q{i}, q{i + 1}" for i in range(n - 1))
    p = program(f"""
      qubits q[{n}] at q0
      alloc {", ".join(f"q{i}" for i in range(n))}
      unitary {{ ry(1.0) q0  {pairs} }}
      %z.0 : real[2] = expect [{" ".join(f"X{i}" for i in range(n))}, Z11]
      return %z.0
    """)
    assert np.allclose(run(p).outputs[""], [math.sin(1.0), math.cos(1.0)])

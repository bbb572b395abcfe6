"""A long time in segments: the same numbers as all at once, gradients that stop at the borders."""

from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qrlang.backends.torch.load import make  # noqa: E402
from qrlang.driver import Compilation  # noqa: E402
from qrlang.engine.resumable import why_not  # noqa: E402

ROADS = ("plain", "stepwise", "native")
TEXT = """\
use std.ansatz.su2_ring
use std.readout.z_and_zz

model M(vocab: int = 7, n: int = 3) {
  input  words: seq[token[vocab]]
  target next:  seq[token[vocab]]
  qubits     memory[n]
  readout    z      = z_and_zz(memory)
  layer      embed  = embedding(5)
  controller steer  = mlp(8, relu)
  layer      head   = linear(vocab)
  step word in words {
    apply su2_ring(2)(steer(embed(word), read z)) to memory
    emit head(read z)
  }
}
"""
# What is done before the first step is done once; values are carried beside the qubits.
BOTH = """\
use std.ansatz.su2_ring
use std.readout.each_z

circuit vqc(n: int)(v: real[n]) -> real[n] {
  qubits q[n]
  param  w: angle[1, n, 3]
  for i in 0..n { h q[i]  ry(atan(v[i])) q[i] }
  apply su2_ring(1)(w) to q
  return read each_z(q)
}

model M(n: int = 3) {
  input  xs: seq[real[2]]
  target ys: seq[real[1]]
  qubits memory[n]
  param  a: angle[n]
  carry  h: real[n] = 0
  carry  k: real = 1
  layer  entry = linear(n)
  layer  f     = vqc(n)
  controller steer = mlp(8, tanh)
  layer  head  = linear(1)
  for i in 0..n { ry(a[i]) memory[i] }
  step x in xs {
    let v = entry(x, h, read each_z(memory))
    apply su2_ring(1)(steer(v)) to memory
    h <- sigmoid(f(v)) * h + 0.5
    k <- 0.5 * k + 0.1
    emit head(h, read each_z(memory), k)
  }
}
"""
STACKED = """\
use std.ansatz.su2_ring
use std.readout.each_z

model M(n: int = 2) {
  input  xs: seq[real[2]]
  target ys: seq[real[2]]
  recurrent lower over xs {
    qubits memory[n]
    controller steer = mlp(4, relu)
    step x {
      apply su2_ring(1)(steer(x, read each_z(memory))) to memory
      emit z_t = read each_z(memory)
    }
  }
  recurrent upper over lower.z_t {
    qubits memory[n]
    controller steer = mlp(4, relu)
    step below {
      apply su2_ring(1)(steer(below, read each_z(memory))) to memory
      emit read each_z(memory)
    }
  }
}
"""
NOISY = """\
use std.readout.each_z

model M(n: int = 2) {
  input  xs: seq[real[1]]
  target ys: seq[real[2]]
  qubits memory[n]
  step x in xs {
    ry(x[0]) memory[0]
    cx memory[0], memory[1]
    depolarizing(0.05) memory[1]
    emit read each_z(memory)
  }
}
"""


def program(text):
    made = Compilation.of_bytes("m.qrl", text.encode(), {})
    assert not made.broken, made.diagnostics
    return made.checked.models["M"].program


def module(text, road):
    torch.manual_seed(1)
    return make(program(text), road=road, dtype=torch.float64)


def inputs(text, batch=5, time=9):
    lot = torch.Generator().manual_seed(0)
    if "token" in text:
        return torch.randint(0, 7, (batch, time), generator=lot)
    width = 1 if text is NOISY else 2
    return torch.randn(batch, time, width, generator=lot, dtype=torch.float64)


def in_parts(model, x, edges=(0, 4, 5, 9)):
    state, parts = None, []
    for a, b in pairwise(edges):
        y, state = model(x[:, a:b], state=state)
        parts.append(y)
    return torch.cat(parts, 1), state


def gradient(model):
    return torch.cat([
        (torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in model.parameters()
    ])  # fmt: skip


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("text", [TEXT, BOTH, STACKED], ids=["text", "both", "stacked"])
def test_segments_are_the_whole(text, road):
    model, x = module(text, road), inputs(text)
    whole = model(x)
    alone, _ = model(x, state=None)
    assert torch.equal(alone, whole)
    found, state = in_parts(model, x)
    assert torch.allclose(found, whole, atol=1e-12)
    assert len(state) == 5
    few, _ = model(x[:2], state=state[:2])
    every, _ = model(x, state=state)
    assert torch.allclose(few, every[:2], atol=1e-12)


def test_mixed_states_go_on_too():
    model, x = module(NOISY, "plain"), inputs(NOISY)
    found, state = in_parts(model, x)
    assert torch.allclose(found, model(x), atol=1e-12)
    assert state.qubits[0].shape == (5, 4, 4)


@pytest.mark.parametrize("text", [TEXT, BOTH], ids=["text", "both"])
def test_gradients_stop_at_the_borders(text):
    """Autograd on plain tensors, whose states are detached, is the yardstick of the other roads."""
    found = {}
    for road in ROADS:
        model, x = module(text, road), inputs(text)
        y, _ = in_parts(model, x)
        (y**2).mean().backward()
        found[road] = gradient(model)
    assert found["plain"].abs().max() > 1e-3
    for road in ROADS[1:]:
        assert torch.allclose(found[road], found["plain"], atol=1e-10), road
    whole = module(text, "plain")
    (whole(inputs(text)) ** 2).mean().backward()
    assert not torch.allclose(gradient(whole), found["plain"], atol=1e-6)


def test_a_state_goes_from_road_to_road():
    """Amplitudes in the order of the other backends, whatever the kernel keeps them in."""
    x = inputs(BOTH)
    states = {road: in_parts(module(BOTH, road), x[:, :5], (0, 2, 5))[1] for road in ROADS}
    for road in ROADS[1:]:
        one, two = states[road].qubits[0].numpy(), states["plain"].qubits[0].numpy()
        assert np.allclose(np.abs((one.conj() * two).sum(1)), 1), road
        assert torch.allclose(states[road].carried[0], states["plain"].carried[0]), road
    whole = module(BOTH, "plain")(x)[:, 5:]
    for road in ROADS:
        for other in ROADS:
            found, _ = module(BOTH, road)(x[:, 5:], state=states[other])
            assert torch.allclose(found, whole, atol=1e-12), (road, other)


def test_what_cannot_be_cut():
    late = TEXT.replace("    emit head(read z)\n  }", "  }\n  return head(read z)")
    late = late.replace("target next:  seq[token[vocab]]", "target next: class[7]")
    assert "at the end" in why_not(program(late))
    with pytest.raises(ValueError, match="cannot run in segments: its output comes at the end"):
        module(late, "plain")(inputs(late), state=None)
    backwards = STACKED.replace("over xs", "over reversed(xs)")
    assert "whole sequence" in why_not(program(backwards))
    for kept, step in (("bit", "b"), ("real", "0.5 * s + b")):
        bits = f"""model M {{
          input xs: seq[real]
          qubits q[1]
          carry s: {kept} = 0
          step x in xs {{
            ry(x) q[0]
            let b = measure q[0]
            s <- {step}
            emit read Z(q[0])
          }}
        }}"""
        assert "measured bits" in why_not(program(bits))
    model, x = module(TEXT, "stepwise"), inputs(TEXT)
    _, state = model(x, state=None)
    with pytest.raises(ValueError, match="of 5 sequences, and the batch has 3"):
        model(x[:3], state=state)
    with pytest.raises(TypeError, match=r"`state` is what the segment before .* got tuple"):
        model(x, state=model(x, state=None))


@pytest.mark.parametrize("road", ROADS)
def test_threads_go_on_each_from_its_own_state(road):
    """On one model, and beside calls without any state."""
    from concurrent.futures import ThreadPoolExecutor

    model = module(BOTH, road)
    lots = [torch.Generator().manual_seed(k) for k in range(4)]
    xs = [torch.randn(40, 9, 2, generator=lot, dtype=torch.float64) for lot in lots]

    def look(k):
        with torch.no_grad():
            return in_parts(model, xs[k % 4])[0] if k % 3 else model(xs[k % 4])

    right = [model(x).detach() for x in xs]
    with ThreadPoolExecutor(4) as pool:
        for k, found in enumerate(pool.map(look, range(36))):
            torch.testing.assert_close(found, right[k % 4], atol=1e-12, rtol=0)


def test_where_a_segment_became_nan():
    """What is said is where it came from, also after a segment that has left a state."""
    text = """\
use std.readout.each_z

model M(n: int = 1) {
  input x: seq[real[1]]
  qubits q[n]
  carry h: real[1] = 1
  step v in x {
    rx(v[0]) q[0]
    h <- sqrt(h) - 2
    emit h + read each_z(q)
  }
}
"""
    model = module(text, "stepwise")
    x = torch.zeros(1, 1, 1)
    _, state = model(x, state=None)
    with pytest.raises(FloatingPointError, match="NaN"):
        model(x, state=state)

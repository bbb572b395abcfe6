"""The fast roads against plain torch: outputs, gradients, errors."""

import pytest
import strategies
import torch_tools as tools
from hypothesis import example, given, settings

import qrlang
from qrlang.backends.torch.native.fit import why_not
from qrlang.backends.torch.spaces import density_spaces
from qrlang.ir.text import parse_program

torch = pytest.importorskip("torch")

LENGTHS = (3, 1, 4)


def total(result):
    parts = result.values() if isinstance(result, dict) else [result]
    return sum(
        (x * torch.linspace(0.5, 1.5, x.numel(), dtype=x.dtype).reshape(x.shape)).sum()
        for x in parts
    )


def everything(program, road, double, inputs, last_digits=None):
    """Outputs, and the gradients of the weights and of the inputs.

    `last_digits`: a generator; every number is moved by one unit in its last place.
    """
    model = tools.module(program, road=road, double=double)
    given = tools.batch(inputs)
    if last_digits is not None:
        numbers = [*model.parameters(), *model.buffers(), *given.values()]
        with torch.no_grad():
            for x in numbers:
                if x.is_floating_point():
                    sign = torch.randint(0, 2, x.shape, generator=last_digits).to(x) * 2 - 1
                    x.mul_(1 + sign * torch.finfo(x.dtype).eps)
    real = [x.requires_grad_() for x in given.values() if x.is_floating_point()]
    result = model(**given, lengths=torch.tensor(LENGTHS))
    loss = total(result)
    weights = [w for w in model.parameters() if w.requires_grad]
    wanted = [*weights, *real]
    if loss.requires_grad:
        found = torch.autograd.grad(loss, wanted, allow_unused=True)
    else:
        found = [None] * len(wanted)
    gradients = [
        torch.zeros_like(w) if g is None else g for g, w in zip(found, wanted, strict=True)
    ]
    outputs = list(result.values()) if isinstance(result, dict) else [result]
    return [x.detach() for x in (*outputs, *gradients)]


def same(program, road, double, tolerance):
    inputs = [strategies.arguments(program, seed=i, length=t) for i, t in enumerate(LENGTHS)]
    try:
        expected = everything(program, "plain", True, inputs)
    except (ValueError, FloatingPointError):
        return
    if not all(bool(torch.isfinite(x).all()) for x in expected):
        return
    # All slopes are of one loss: where one is zero, what is left of it is of the others' size.
    scale = 1 + max(float(x.abs().max()) for x in expected if x.numel())
    found = everything(program, road, double, inputs)
    assert [x.shape for x in found] == [x.shape for x in expected]
    off = [distance(a, b) for a, b in zip(found, expected, strict=True)]
    if max(off, default=0.0) >= tolerance * scale:
        own = rounding(program, inputs, expected)
        for mine, theirs in zip(off, own, strict=True):
            assert mine < tolerance * scale + 4 * theirs


def distance(a, b):
    return float((a.double() - b).abs().max()) if a.numel() else 0.0


def rounding(program, inputs, expected, times=16):
    """How far the yardstick itself is from the truth: what becomes of it when all that is given
    changes in the last digit. A loop with a steep controller makes much of that, and then two
    roads that are both right differ by as much."""
    generator = torch.Generator().manual_seed(0)
    found = [everything(program, "plain", True, inputs, generator) for _ in range(times)]
    return [max(map(distance, *(column, [e] * times))) for column, e in
            zip(zip(*found, strict=True), expected, strict=True)]  # fmt: skip


@settings(max_examples=30)
@given(strategies.circuits())
def test_stepwise_circuits(program):
    same(program, "stepwise", True, 1e-10)


# Its loop multiplies what it is given by 2 · 16 · 0.85 · 2 at each moment, and nothing of that can
# be seen at the end: the slope of w2 is zero, and every road finds the rounding of the moments
# before, made 5^4 to 54^4 times larger. Found by the test below.
STEEP = """
program steep(n = 1) {
  input %x.0 : real[2]
  input %rows.1 : seq[real[2]]
  weight @w0 : real[4] = uniform(-1.0, 1.0) unitary 1
  weight @w1 : real[2] = uniform(-1.0, 1.0)
  weight @w2 : real[1, 1] = uniform(-1.0, 1.0)
  weight @w3 : real[1, 2] = uniform(-1.0, 1.0)
  qubits r0[1] at q0

  alloc q0
  %3 : unitary[1] = weight @w0
  apply %3 adjoint to q0
  %6 : real[1] = const [0.0]
  loop step (%x.5 : real[2] in %rows.1) carry(%h.7 : real[1] = %6) {
    %z.8 : real[1] = expect [X0 + X0]
    %9 : real[1] = linear %z.8, @w2 gain 16.0
    unitary { u(0.0, 2.0*%9[0] + %z.8[0] + 0.3, %h.7[0] + %h.7[0]) q0 }
    %12 : real[1] = linear %x.5, @w3
  } next(%last.13 : real[1] = %12) emit(seen %seen.14 : seq[real[2]] = %x.5)
  %p.16 : real[2] = probs q0

  return seen = %seen.14
  return p = %p.16
}
"""


@settings(max_examples=30)
@given(strategies.programs())
@example(parse_program(STEEP))
def test_stepwise_recurrences(program):
    same(program, "stepwise", True, 1e-10)


def test_a_steep_loop_is_as_exact_on_both_roads():
    """Against what is known: phases cannot be seen in `probs`."""
    program = parse_program(STEEP)
    size = {}
    for road in ("plain", "stepwise"):
        left = []
        for seed in range(10):
            inputs = [strategies.arguments(program, seed=20 * seed + i, length=t)
                      for i, t in enumerate(LENGTHS)]  # fmt: skip
            w2 = everything(program, road, True, inputs)[4]
            left.append(float(w2.abs()))
        size[road] = sum(x * x for x in left) ** 0.5
    assert size["stepwise"] < 4 * size["plain"]


@settings(max_examples=8)
@given(strategies.programs(fused=False))
def test_native_recurrences(program):
    if not why_not(program):
        same(program, "native", True, 1e-10)


QRNN = """
program QRNN {
  input  %rows.0 : seq[real[3]]
  weight @steer.w1 : real[8, 7] = uniform(-0.5, 0.5)
  weight @steer.b1 : real[8] = uniform(-0.5, 0.5)
  weight @steer.w2 : real[24, 8] = uniform(-0.1, 0.1)
  weight @steer.b2 : real[24] = uniform(-3.0, 3.0)
  weight @head.w : real[2, 4] = uniform(-0.5, 0.5)
  weight @head.b : real[2] = uniform(-0.5, 0.5)
  qubits memory[4] at q0
  alloc q0, q1, q2, q3
  loop step (%row.1 : real[3] in %rows.0) {
    %z.2 : real[4] = expect [Z0, Z1, Z2, Z3]
    %v.3 : real[7] = concat(%row.1, %z.2)
    %h.4 : real[8] = linear %v.3, @steer.w1, @steer.b1
    %h.5 : real[8] = tanh(%h.4)
    %theta.6 : real[24] = linear %h.5, @steer.w2, @steer.b2
    unitary {
      GATES
    }
  }
  %z.7 : real[4] = expect [Z0, Z1, Z2, Z3]
  %y.8 : real[2] = linear %z.7, @head.w, @head.b gain 16.0
  return %y.8
}
"""


def qrnn():
    lines = []
    for layer in range(2):
        for q in range(4):
            for k, gate in enumerate(("rz", "ry", "rz")):
                lines.append(f"{gate}(%theta.6[{12 * layer + 3 * q + k}]) q{q}")
        lines += [f"cx q{q}, q{(q + 1) % 4}" for q in range(4)]
    return parse_program(QRNN.replace("GATES", "\n      ".join(lines)))


def gradients(road, double, time, seed=0):
    torch.manual_seed(seed)
    model = tools.module(qrnn(), seed=1, road=road, double=double)
    with torch.no_grad():
        model.steer.w1[:, 3:] *= 0.2  # weak feedback: rounding must not be amplified
    generator = torch.Generator().manual_seed(5)
    rows = torch.randn(3, time, 3, generator=generator, dtype=torch.float64)
    out = model(rows)
    torch.nn.functional.cross_entropy(out, torch.tensor([0, 1, 0])).backward()
    return {name: w.grad.double() for name, w in model.named_parameters()}


@pytest.mark.parametrize("road", ["stepwise", "native"])
def test_single_precision(road):
    truth, mine = gradients("plain", True, 8), gradients(road, False, 8)
    for name, g in truth.items():
        assert (mine[name] - g).norm() < 2e-5 * g.norm(), name


@pytest.mark.parametrize("road", ["stepwise", "native"])
def test_long_sequences_are_as_exact_as_stored_states(road):
    truth, stored, mine = (gradients(*a, 300) for a in (("plain", True), ("plain", False), (road, False)))  # fmt: skip
    for name, g in truth.items():
        own = (stored[name] - g).norm()
        assert (mine[name] - g).norm() < 2 * own + 2e-5 * g.norm(), name


@pytest.mark.parametrize("road", ["plain", "stepwise", "native"])
def test_gradcheck(road):
    model = tools.module(qrnn(), road=road)
    rows = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True)

    def run(rows, w2):
        model.steer.w2.data = w2.detach()
        found = torch.func.functional_call(model, {"steer.w2": w2}, (rows,))
        return found

    assert torch.autograd.gradcheck(
        run, (rows, model.steer.w2.detach().clone().requires_grad_()), nondet_tol=1e-12
    )


@pytest.mark.parametrize("road", ["stepwise", "native"])
def test_a_second_backward_is_an_error(road):
    model = tools.module(qrnn(), road=road)
    loss = model(torch.randn(2, 3, 3, dtype=torch.float64)).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


@pytest.mark.parametrize("road", ["stepwise", "native"])
def test_a_kept_graph_gives_the_same_gradients_twice(road):
    model = tools.module(qrnn(), road=road)
    out = model(torch.randn(2, 3, 3, dtype=torch.float64))
    first = torch.autograd.grad(out[0, 0], model.steer.w2, retain_graph=True)[0]
    torch.autograd.grad(out[1, 1], model.steer.w2, retain_graph=True)
    again = torch.autograd.grad(out[0, 0], model.steer.w2)[0]
    torch.testing.assert_close(again, first)


@pytest.mark.parametrize("road", ["stepwise", "native"])
def test_weights_changed_in_place_are_an_error(road):
    model = tools.module(qrnn(), road=road)
    loss = model(torch.randn(2, 3, 3, dtype=torch.float64)).sum()
    with torch.no_grad():
        model.steer.w2.mul_(0.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("road", ["plain", "stepwise", "native"])
def test_nan_is_an_error_with_its_place(road):
    model = tools.module(qrnn(), road=road)
    rows = torch.randn(2, 3, 3, dtype=torch.float64)
    broken = rows.clone()
    broken[1, 1, 2] = float("nan")
    with pytest.raises(FloatingPointError, match="rows"):
        model(broken)
    with torch.no_grad():
        model.steer.b2[3] = float("inf")
    with pytest.raises(FloatingPointError, match="step"):
        model(rows)


def test_memory_of_the_stepwise_road_does_not_hold_states():
    """What autograd keeps grows by numbers of the controller, not by states."""
    kept = {}
    for time in (2, 12):
        model = tools.module(qrnn(), road="stepwise", double=False)
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, sizes=sizes: sizes.append(x.numel()) or x, lambda x: x
        ):
            model(torch.randn(64, time, 3))
        kept[time] = sum(sizes)
    assert (kept[12] - kept[2]) / 10 < 64 * (8 + 7 + 24 + 8 + 24) + 8 * 7 + 24 * 8 + 100


def test_a_road_that_is_closed_says_why():
    program = parse_program(
        """
        program Reset {
          qubits q[1] at q0
          alloc q0
          reset q0
          %z.0 : real[1] = expect [Z0]
          return %z.0
        }
        """
    )
    from qrlang.backends.torch.memory import model_class
    from qrlang.backends.torch.roads import RoadError, choose_road

    road, why = choose_road(program)
    assert road == "plain" and "reset" in why and density_spaces(program)
    with pytest.raises(RoadError, match="reset"):
        model_class(program)(road="native")()
    with pytest.warns(UserWarning, match="reset"):
        assert model_class(program)()().item() == 1


def test_the_fastest_road_is_taken(root):
    model = qrlang.load(root / "examples/qrnn/rows.qrl", n=4)
    assert model.chosen_road() == "native"
    assert model(torch.rand(2, 3, 28)).shape == (2, 10)


def test_a_step_of_the_stepwise_road_costs_no_state():
    """The memory of the process itself: at 12 qubits a state of this batch is 128 KB."""
    import subprocess
    import sys

    code = """
import sys, torch
sys.path[:0] = [%r]
import qrlang
torch.set_num_threads(1)
model = qrlang.load("benchmarks/qrnn.qrl", n=12, layers=1, road="stepwise")
def now():
    return int(open("/proc/self/statm").read().split()[1]) * 4
model(torch.randn(4, 8, 8)).sum().backward()
before = now()
loss = model(torch.randn(4, 300, 8)).sum()
loss.backward()
print((now() - before) / 300)
"""
    from pathlib import Path

    root = Path(__file__).resolve().parents[2]
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not say how much memory a process has")
    done = subprocess.run(
        [sys.executable, "-c", code % str(root)],
        cwd=root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert float(done.stdout) < 40  # KB

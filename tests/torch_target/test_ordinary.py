"""What torch users do to a module: swap layers, hook them, transform, feed it what is not there."""

import copy
import subprocess
import sys
import time
import warnings

import pytest

import qrlang

torch = pytest.importorskip("torch")
ROADS = ("native", "stepwise", "plain")
MIXED = """
model Mixed {
  input  x: seq[real[2]]
  target y: real[2]
  qubits a[2]
  param p: angle[3]
  step v in x {
    qubits d[1]
    prepare [v[0], 1 + v[1]] on d
    crx(p[0]) d[0], a[0]
    ry(p[0] * v[0]) a[0]
    cx a[0], a[1]
    amplitude_damping(0.3 * sigmoid(p[1])) a[0]
    depolarizing2(0.2 * sigmoid(p[2])) a[0], a[1]
    let b = measure a[1]
    if b { phase_damping(0.2 * sigmoid(p[1] + v[1])) a[0] }
  }
  postselect a[1] == 0
  return read [Z(a[0]), X(a[0])]
}
"""


def qrnn(root, road=None, **settings):
    torch.manual_seed(0)
    return qrlang.load(root / "examples/qrnn/rows.qrl", n=3, hidden=6, road=road, **settings)


def same_as_plain(model, rows):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = model(rows)
    model.road = "plain"
    torch.testing.assert_close(found, model(rows))


def test_a_layer_that_was_replaced_is_the_one_that_runs(root):
    model, rows = qrnn(root), torch.rand(2, 4, 28)
    model.steer = torch.nn.Sequential(torch.nn.Linear(31, 5), torch.nn.Linear(5, 18))
    with pytest.warns(UserWarning, match="layer `steer` is not as it was written"):
        assert model.chosen_road() == "stepwise"
    same_as_plain(model, rows)


def test_hooks_run(root):
    model, rows, seen = qrnn(root), torch.rand(2, 4, 28), []
    hook = model.steer.register_forward_hook(lambda *of: seen.append(of))
    with pytest.warns(UserWarning, match="layer `steer` has hooks"):
        model(rows)
    assert len(seen) == 4
    hook.remove()
    assert model.chosen_road() == "native"
    # Torch's older spectral_norm makes its weight anew in a hook.
    torch.nn.utils.spectral_norm(model.head, "w")
    with torch.no_grad():
        model.head.w_orig.mul_(3)
    model.eval()
    same_as_plain(model, rows)


def test_a_parametrised_weight_stays_native(root):
    model = qrnn(root)
    torch.nn.utils.parametrizations.weight_norm(model.head, "w")
    assert model.chosen_road() == "native"
    same_as_plain(model, torch.rand(2, 4, 28))


def test_transforms_take_the_plain_road(root):
    model, rows = qrnn(root, dtype=torch.float64), torch.rand(3, 4, 28, dtype=torch.float64)
    weights = {name: w.detach() for name, w in model.named_parameters()}

    def loss(weights, rows):
        return torch.func.functional_call(model, weights, (rows[None],)).sum()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, rows)
    assert model.chosen_road() == "native"
    model(rows).sum().backward()
    for name, w in model.named_parameters():
        torch.testing.assert_close(each[name].sum(0), w.grad)


def test_transforms_of_noise_that_is_computed():
    model = qrlang.loads(MIXED, road="plain", dtype=torch.float64)
    weights = {name: w.detach() for name, w in model.named_parameters()}
    x = torch.rand(3, 2, 2, dtype=torch.float64)

    def value(weights, x=x):
        return torch.func.functional_call(model, weights, (x,))

    def each(weights, one):
        return value(weights, one[None])[0]

    right = torch.func.jacrev(value)(weights)
    forward = torch.func.jacfwd(value)(weights)
    single = torch.func.vmap(torch.func.jacrev(each), in_dims=(None, 0))(weights, x)
    several = torch.func.vmap(value)({name: torch.stack([w, w]) for name, w in weights.items()})
    for name, w in weights.items():
        torch.testing.assert_close(forward[name], right[name])
        torch.testing.assert_close(single[name], right[name])
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(w, torch.ones_like(w))
            slope = torch.autograd.forward_ad.unpack_dual(value({**weights, name: dual})).tangent
        torch.testing.assert_close(slope, right[name].sum(-1))
    torch.testing.assert_close(several[1], value(weights))


@pytest.mark.parametrize("road", ROADS)
def test_what_is_not_a_number_in_a_weight_after_all_steps_is_said(root, road):
    model = qrnn(root, road)
    with torch.no_grad():
        model.head.w[0, 0] = torch.nan
    with pytest.raises(FloatingPointError, match="the result is NaN"):
        model(torch.rand(2, 4, 28))


@pytest.mark.parametrize("road", ROADS)
def test_steps_are_counted_from_one(root, road):
    model, rows = qrnn(root, road), torch.rand(2, 4, 28)
    rows[1, 2, 5] = torch.inf
    with pytest.raises(FloatingPointError, match="step 3"):
        model(rows)
    with torch.no_grad():
        model.steer.b2[0] = torch.nan
    with pytest.raises(FloatingPointError, match="step 1"):
        model(torch.rand(2, 4, 28))


@pytest.mark.parametrize("road", ROADS)
def test_nothing_is_no_input(root, road):
    model = qrnn(root, road)
    with pytest.raises(ValueError, match="`rows` have no moments at all"):
        model(torch.rand(2, 0, 28))
    with pytest.raises(ValueError, match="`rows` is of no sequences at all"):
        model(torch.rand(0, 2, 28))
    with pytest.raises(TypeError, match="float32 or float64, not float16"):
        model.half()(torch.rand(2, 2, 28))


@pytest.mark.parametrize("road", ["native", "stepwise"])
def test_gradients_of_gradients_are_refused_also_of_a_sum(root, road):
    model = qrnn(root, road)
    value = model(torch.rand(2, 3, 28)).sum()
    with pytest.raises(RuntimeError, match="are for the plain road"):
        torch.autograd.grad(value, list(model.parameters()), create_graph=True)


def test_the_command_writes_what_load_makes(tmp_path):
    """Also where passes change the program: here `tdg` and `z` become one phase."""
    from qrlang.backends.torch.emit import emit_program
    from qrlang.backends.torch.load import program_of
    from qrlang.backends.torch.target import target
    from qrlang.driver import Compilation

    path = tmp_path / "m.qrl"
    path.write_text(
        "model M {\n  input x: seq[real[1]]\n  target y: real[1]\n  qubits q[2]\n"
        "  layer head = linear(1)\n"
        "  step v in x { h q[0]  tdg q[0]  z q[0]  ry(v[0]) q[1]  cx q[0], q[1] }\n"
        "  return head(read [X(q[0]), Z(q[1])])\n}\n"
    )
    made = Compilation.of_bytes(str(path), path.read_bytes())
    written = target.emit(made.for_target(made.models()[0]), {})["model.py"]

    assert "tdg" not in written
    assert written == emit_program(program_of(path, None, {}))


@pytest.mark.parametrize("road", ["plain", "stepwise", "native"])
def test_a_look_without_slopes_comes_before_training(root, road):
    """What is kept between calls was made where autograd had no say."""
    options = {"n": 3, "hidden": 4, "dtype": torch.float64, "road": road}
    torch.manual_seed(0)
    model = qrlang.load(root / "examples/qrnn/rows.qrl", **options)
    torch.manual_seed(0)
    other = qrlang.load(root / "examples/qrnn/rows.qrl", **options)
    x = torch.rand(2, 3, 28, dtype=torch.float64)
    with torch.inference_mode():
        model(x)
    for one in (model, other):
        one(x).sum().backward()
    for mine, right in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, right.grad, rtol=1e-12, atol=1e-12)
    noisy = qrlang.load(root / "examples/noise/noisy.qrl", road="plain")
    with torch.inference_mode():
        noisy(torch.rand(2, 3, 2))
    noisy(torch.rand(2, 3, 2)).sum().backward()


@pytest.mark.parametrize("road", [None, "stepwise"])
def test_torch_compile_leaves_a_model_as_it_is(root, road, monkeypatch):
    """Its kernels too: unrolled step by step, it would lose them."""
    from qrlang.backends.torch.native import road as native

    calls, rows = [], torch.rand(2, 30, 28)
    call = native.call
    monkeypatch.setattr(native, "call", lambda *a: calls.append(1) or call(*a))
    model, other = qrnn(root, road), qrnn(root, road)
    whole = torch.compile(torch.nn.Sequential(model, torch.nn.Softmax(-1)))
    for one in (whole, torch.nn.Sequential(other, torch.nn.Softmax(-1))):
        one(rows)[:, 0].sum().backward()
    assert len(calls) == (2 if road is None else 0)
    for mine, right in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, right.grad)


def test_torch_compile_goes_through_noise_on_the_plain_road():
    text = MIXED.replace("cx a[0], a[1]", "cx a[0], a[1] phase_damping(0.1) a[1]")
    text = text[: text.index("    let b")] + "  }" + text[text.index("\n  return") :]
    x = torch.rand(3, 2, 2, dtype=torch.float64)
    wider = text.replace("a[2]", "a[3]")
    assert wider != text
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of calls that it leaves to Python
        torch._dynamo.reset()
        for one in (text, wider):  # how many qubits there are is no variable
            model = qrlang.loads(one, road="plain", dtype=torch.float64)
            found = torch.compile(model, backend="eager")(x)
            torch.testing.assert_close(found, model(x))


def test_checks_are_now_or_later(root):
    model = qrnn(root, None)
    model.checks = "later"
    with pytest.raises(ValueError, match='`checks` is "now" or "later"; found \'latter\''):
        model.checks = "latter"
    assert model.checks == "later"


@pytest.mark.parametrize("road", ROADS)
def test_several_threads_at_once(root, road):
    """On one model, and on models of one class."""
    from concurrent.futures import ThreadPoolExecutor

    models = [qrnn(root, road), qrnn(root, road)]
    rows = [torch.rand(300, 5, 28) for _ in range(8)]

    def look(k):
        with torch.no_grad():
            return models[k % 2](rows[k % 8])

    def slopes(k):
        model = copy.deepcopy(models[0])
        model(rows[k % 8]).sum().backward()
        return torch.cat([p.grad.flatten() for p in model.parameters()])

    for what, times in ((look, 200), (slopes, 40)):
        right = [what(k) for k in range(8)]
        with ThreadPoolExecutor(4) as pool:
            for k, found in enumerate(pool.map(what, range(times))):
                torch.testing.assert_close(found, right[k % 8])


def test_several_threads_load_at_once(root, monkeypatch):
    """A class that nobody has made yet, in two precisions."""
    from concurrent.futures import ThreadPoolExecutor

    from qrlang.backends.torch import memory

    def slowly(*args):  # as where the imports of the text are not done yet
        time.sleep(0.1)
        return compile(*args)

    def load(k):
        return qrlang.load(root / "examples/qrnn/rows.qrl", n=3, hidden=41, dtype=wanted[k])

    monkeypatch.setattr(memory, "compile", slowly, raising=False)
    wanted = [torch.float64, None] * 4
    with ThreadPoolExecutor(8) as pool:
        models = list(pool.map(load, range(8)))
    assert len({type(m) for m in models}) == 1
    for model, dtype in zip(models, wanted, strict=True):
        assert {p.dtype for p in model.parameters()} == {dtype or torch.float32}
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize("road", ROADS)
def test_arrays_of_numpy_and_lists(root, road):
    model, rows = qrnn(root, road), torch.rand(2, 3, 28)
    for given in (rows.numpy(), rows.tolist()):
        torch.testing.assert_close(model(given), model(rows))


@pytest.mark.parametrize("road", ROADS)
def test_autocast_does_not_reach_into_a_model(root, road):
    model, rows = qrnn(root, road), torch.rand(2, 3, 28)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(rows.bfloat16())
    torch.testing.assert_close(found, model(rows.bfloat16().float()))


def test_a_model_can_be_exported(root, tmp_path):
    """Before its first call, for batches of any size and lengths; and it is as it was."""
    model = qrnn(root, None).eval()
    rows, lengths = torch.rand(2, 4, 28), torch.tensor([4, 2])
    batch = {0: torch.export.Dim("batch")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.export.export(
            model, (rows,), {"lengths": lengths},
            dynamic_shapes={"rows": batch, "lengths": batch},
        )  # fmt: skip
        torch.export.save(made, tmp_path / "model.pt2")
        found = torch.export.load(tmp_path / "model.pt2").module()
    rows, lengths = torch.rand(5, 4, 28), torch.tensor([1, 4, 2, 3, 4])
    torch.testing.assert_close(found(rows, lengths=lengths), model(rows, lengths=lengths))
    assert model.chosen_road() == "native"
    model.road = "plain"
    torch.testing.assert_close(model(rows, lengths=lengths), found(rows, lengths=lengths))


def test_what_torch_loads_late_is_left_alone(root):
    """Its compiler and its symbols take longer to import than torch itself."""
    path = str(root / "examples/qrnn/rows.qrl")
    code = f"""
import sys, torch
before = set(sys.modules)
import qrlang
for road in {ROADS}:
    model = qrlang.load({path!r}, n=3, hidden=6, road=road)
    model(torch.rand(2, 5, 28)).sum().backward()
print(sorted({{"torch._dynamo", "sympy"}} & (set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

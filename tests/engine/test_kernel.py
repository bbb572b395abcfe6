"""The kernel as a thing to call: errors, the cache, repeats, long sequences."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("llvmlite")

from engine_programs import qrnn
from engine_tools import compare, draw

from qrlang.engine.cpu.launch.kernel import Kernel, NotFinite, kernel
from qrlang.engine.cpu.llvm import elf
from qrlang.engine.plan import Plan, Refusal, plan
from qrlang.ir import program as ir


@pytest.fixture(scope="module")
def made():
    program = qrnn(5)
    found = plan(program)
    assert isinstance(found, Plan)
    weights, inputs = draw(program, 20, 6)
    arrays = [weights[w.name].float().numpy() for w in found.weights]
    return found, kernel(found, threads=2), [x.float().numpy() for x in inputs], arrays


def test_what_is_not_finite_is_named(made):
    _, k, (x,), weights = made
    for bad in (np.nan, np.inf):
        wrong = x.copy()
        wrong[17, 3, 1] = bad
        with pytest.raises(
            NotFinite, match=r"input `0` is NaN or infinite at step 4 \(sequence 17"
        ):
            k.forward([wrong], weights)
    broken = [w.copy() for w in weights]
    names = [w.name for w in k.plan.weights]
    broken[names.index("c2.b")][4] = np.inf
    with pytest.raises(NotFinite, match=r"an angle of layer 0 of .* at step 1"):
        k.forward([x], broken)
    y, _ = k.forward([x], weights)
    assert np.isfinite(y[0]).all()


def test_the_same_numbers_again_and_twice_backwards(made):
    _, k, inputs, weights = made
    y, saved = k.forward(inputs, weights)
    d = [np.ones_like(y[0])]
    first = k.backward(saved, d, True)
    again = k.backward(saved, d, True)
    y2, saved2 = k.forward(inputs, weights)
    other = k.backward(saved2, d, True)
    assert np.array_equal(y[0], y2[0])
    for a, b, c in zip(first[0], again[0], other[0], strict=True):
        assert np.array_equal(a, b) and np.array_equal(a, c)
    assert np.array_equal(first[1][0], again[1][0])


def test_small_numbers_stay_small_numbers(made):
    """The host thread still knows subnormal numbers after a call."""
    _, k, inputs, weights = made
    k.forward(inputs, weights)
    assert np.float32(1e-40) * np.float32(1) != 0


def test_wrong_shapes_and_lengths(made):
    _, k, (x,), weights = made
    with pytest.raises(ValueError, match="shape"):
        k.forward([x[:, :, :2]], weights)
    with pytest.raises(ValueError, match="lengths"):
        k.forward([x], weights, [np.full(20, 7)])
    with pytest.raises(ValueError, match="weight"):
        k.forward([x], [w.T for w in weights])


def test_cache(tmp_path, monkeypatch):
    found = plan(qrnn(2, layers=1))
    monkeypatch.setenv("QRLANG_CACHE_DIR", str(tmp_path))
    assert not kernel(found).from_cache
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    whole = file.read_bytes()
    assert kernel(found).from_cache
    for damaged in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:40]):
        file.write_bytes(damaged)
        k = kernel(found)
        assert not k.from_cache
        assert file.read_bytes() == whole or kernel(found).from_cache
    file.chmod(0o666)
    assert not kernel(found).from_cache
    monkeypatch.setenv("QRLANG_CACHE", "0")
    assert not kernel(found).from_cache
    assert isinstance(kernel(found), Kernel)


def test_without_the_loader_of_our_own(made, monkeypatch):
    """Other systems load code through LLVM."""
    found, k, inputs, weights = made
    monkeypatch.setenv("QRLANG_CACHE", "0")
    monkeypatch.setattr(elf, "possible", lambda: False)
    other = kernel(found, threads=2)
    assert np.array_equal(k.forward(inputs, weights)[0][0], other.forward(inputs, weights)[0][0])


def test_the_compiler_stays_out_of_a_process_that_can_do_without(tmp_path):
    """Made in a process of its own, then in this one, then from the cache: a user's runs."""
    code = """
import sys
from engine_programs import qrnn
from qrlang.engine.cpu.launch.kernel import kernel
from qrlang.engine.plan import plan
k = kernel(plan(qrnn(4)))
print(k.from_cache, "llvmlite.binding" in sys.modules)
"""
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent.parent)])
    env = os.environ | {"PYTHONPATH": path}
    said = []
    for how, cache in (("", "a"), ("inside", "b"), ("", "b")):
        now = env | {"QRLANG_COMPILE": how, "QRLANG_CACHE_DIR": str(tmp_path / cache)}
        done = subprocess.run(
            [sys.executable, "-c", code], env=now, capture_output=True, text=True, check=True
        )
        said.append(done.stdout.split())
    without = str(not elf.possible())
    assert said == [["False", without], ["False", "True"], ["True", without]]
    (one,), (other,) = ((tmp_path / cache).iterdir() for cache in ("a", "b"))
    assert one.read_bytes() == other.read_bytes()


def test_refusals_say_why():
    program = qrnn(3)
    alloc, loop, *rest = program.body
    from dataclasses import replace

    measured = ir.Measure(ir.Value(999, loop.items[0].item.type), (0,))
    said = plan(replace(program, body=(alloc, measured, loop, *rest)))
    assert isinstance(said, Refusal) and said.reason == "measurement in the middle"


def test_long_sequences_do_not_drift():
    """Weak feedback, as chaos would amplify every rounding whatever the method."""
    program = qrnn(6, width=8)
    found = plan(program)
    assert isinstance(found, Plan)
    weights, (x,) = draw(program, 2, 784)
    weights["c1.w"][:, :6] *= 0.2
    results = {}
    for dtype in ("float32", "float64"):
        k = kernel(found, dtype, 1)
        y, saved = k.forward([x.numpy()], [weights[w.name].numpy() for w in found.weights])
        results[dtype] = k.backward(saved, [np.ones_like(y[0])])[0]
    for a, b in zip(results["float32"], results["float64"], strict=True):
        assert np.linalg.norm(a - b) < 2e-4 * np.linalg.norm(b)


def test_several_threads_on_one_state():
    """A large state: one thread and three do the same, and undo it."""
    found = plan(qrnn(16, width=4))
    weights, (x,) = draw(qrnn(16, width=4), 1, 2)
    results = {}
    for threads in (1, 3):
        k = kernel(found, "float64", threads)
        y, saved = k.forward([x.numpy()], [weights[w.name].numpy() for w in found.weights])
        results[threads] = (y, *k.backward(saved, [np.ones_like(y[0])], True))
    for a, b in zip(results[1], results[3], strict=True):
        for one, other in zip(a, b, strict=True):
            assert np.linalg.norm(one - other) < 1e-11 * np.linalg.norm(one)


def test_rows_of_the_tape_do_not_depend_on_the_batch():
    assert max(compare(qrnn(4), 33, 2, threads=2)) < 2e-5

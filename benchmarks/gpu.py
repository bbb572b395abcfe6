"""The engine on a GPU: its figures, each beside what it is meant to be, and its errors.

    python benchmarks/gpu.py [--cases 4 8 10 12 14 14long] [--epochs 8 10 14] [--learn]
                             [--data DIR] [--out FOLDER]

Every case is a process of its own, with an empty cache of kernels first. Times are medians by
device events; errors are against float64 on the CPU, and on long sequences beside those of plain
torch in complex64. `--epochs`: epochs of permuted MNIST by `qrlc train` (loop, evaluation and
data included) at these numbers of qubits, on the images in DIR, or on noise of the same size.
`--learn`: that what is trained is learnt, which takes minutes and needs the images. Writes
`gpu.md` and `gpu.json`. The exit status is 1 where an error is too large, 2 where there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT)]

from work import Case, data, weights  # noqa: E402

SHORT = 64  # moments up to which an error is absolute
TOLERANCE, RATIO = 1e-4, 2.0
COLD, CACHED = 5.0, 0.2  # seconds for kernels


@dataclass(frozen=True)
class Aim:
    case: Case
    milliseconds: float  # forward and backward
    megabytes: float = math.inf


AIMS = {
    "4": Aim(Case(4, 1, 64, 4096), 0.30),
    "8": Aim(Case(8, 2, 784, 512), 5.7),
    "10": Aim(Case(10, 2, 784, 512), 14),
    "12": Aim(Case(12, 2, 64, 256), 2.1),
    "14": Aim(Case(14, 2, 64, 128), 6.2),
    "14long": Aim(Case(14, 2, 784, 64), 38, 200),
}
EPOCHS = {"8": (512, 1.5), "10": (512, 3.0), "14": (128, 40.0)}  # batch, seconds at most


# --- one case, in a process of its own


def model(case: Case, dtype: Any, device: str, road: str | None = None) -> Any:
    import torch

    import qrlang

    made = qrlang.load(
        HERE / "qrnn.qrl", n=case.n, layers=case.layers, dtype=dtype, device=device, road=road
    )
    own = dict(made.named_parameters())
    with torch.no_grad():
        for name, x in weights(case).items():
            # Small, so that the recurrence is not chaotic and errors say something.
            own[name].copy_(torch.as_tensor(x) * (0.3 if name.startswith("steer") else 1.0))
    return made


def slopes(made: Any, x: Any) -> list[Any]:
    import torch

    y = made(x)
    seeds = torch.linspace(-1, 1, y.numel(), device=y.device, dtype=y.dtype).view_as(y)
    found: list[Any] = list(torch.autograd.grad((y * seeds).sum(), list(made.parameters())))
    return found


def error(mine: Sequence[Any], truth: Sequence[Any]) -> float:
    """The worst of the weights, relative to the norm of its gradient."""
    pairs = zip(mine, truth, strict=True)
    return max(float((a.double().cpu() - b).norm() / (b.norm() + 1e-12)) for a, b in pairs)


def median(run: Callable[[], Any], seconds: float = 3.0) -> float:
    """Milliseconds, by device events."""
    import torch

    for _ in range(3):
        run()
    torch.cuda.synchronize()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 10 or (time.perf_counter() < end and len(times) < 200):
        a, b = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        a.record()
        run()
        b.record()
        b.synchronize()
        times.append(a.elapsed_time(b))
    return statistics.median(times)


class Clocked:
    """A loaded module, with the time between before and after each launch."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.events: list[tuple[Any, Any]] = []

    def launch(self, *arguments: Any) -> None:
        import torch

        a, b = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        a.record()
        self.inner.launch(*arguments)
        b.record()
        self.events.append((a, b))

    def milliseconds(self) -> float:
        total = sum(a.elapsed_time(b) for a, b in self.events)
        self.events.clear()
        return total


def kernels_alone(made: Any, x: Any) -> float:
    """Milliseconds of the two kernels, without the products that make gradients of weights."""
    import torch

    from qrlang.backends.torch import native

    kernel = native._of(made).cuda.on(made.like.device, "float32")
    one = kernel.kernels(len(x))
    clocked = Clocked(one.loaded)
    one.loaded = clocked
    found = []
    for _ in range(20):
        slopes(made, x)
        torch.cuda.synchronize()
        found.append(clocked.milliseconds())
    one.loaded = clocked.inner
    return statistics.median(found)


def measure(name: str) -> dict[str, Any]:
    import torch

    from qrlang.backends.torch import native

    aim = AIMS[name]
    case = aim.case
    x64, _ = data(case)
    x = torch.as_tensor(x64, dtype=torch.float32, device="cuda")
    made = model(case, torch.float32, "cuda", "native")
    made.checks = "later"
    begun = time.perf_counter()
    slopes(made, x)
    torch.cuda.synchronize()
    found: dict[str, Any] = {"first_call_s": time.perf_counter() - begun}
    module = native._of(made).cuda.on(made.like.device, "float32").kernels(case.batch).loaded
    found["kernels_s"], found["from_cache"] = module.made_in, module.from_cache
    found |= resources(module)
    if os.environ.get("QRLANG_GPU_COMPILE_ONLY"):
        return found
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    slopes(made, x)
    torch.cuda.synchronize()
    found["megabytes"] = (torch.cuda.max_memory_allocated() - before) / 1e6
    found["ms"] = kernels_alone(made, x)
    found["with_weights_ms"] = median(lambda: slopes(made, x))
    made.settle()
    found |= errors(case, made, x64)
    return found


def resources(module: Any) -> dict[str, Any]:
    """Registers and bytes of local memory of a thread: more than a few bytes are arrays that did
    not stay in registers."""
    names = module.gpu.driver.CUfunction_attribute
    asked = {"registers": names.CU_FUNC_ATTRIBUTE_NUM_REGS,
             "local_bytes": names.CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES}  # fmt: skip
    return {
        f"{kernel}_{name}": int(module.gpu.call("cuFuncGetAttribute", attribute, function))
        for kernel, function in module.functions.items()
        for name, attribute in asked.items()
    }


def errors(case: Case, made: Any, x64: Any) -> dict[str, float]:
    """Of a few sequences; a long one beside plain torch in complex64."""
    import torch

    few = x64[: 4 if case.n < 14 else 1]
    long = case.steps > SHORT
    found = {}
    for name, part in (("short", few[:, :SHORT]), ("long", few[:1])):
        if name == "long" and not long:
            continue
        truth = slopes(model(case, torch.float64, "cpu"), torch.as_tensor(part))
        own = torch.as_tensor(part, dtype=torch.float32, device="cuda")
        found[f"error_{name}"] = error(slopes(made, own), truth)
        if name == "long":
            plain = model(case, torch.float32, "cuda", "plain")
            found["error_torch"] = error(slopes(plain, own), truth)
    return found


# --- epochs, and what is learnt


def train(page: str, out: Path, *arguments: str) -> dict[str, Any]:
    from qrlang.cli.main import run as qrlc

    status = qrlc(["train", str(ROOT / page), "--device", "cuda", "--out", str(out), *arguments])
    if status:
        raise SystemExit(f"qrlc train {page} ended with {status}")
    found: dict[str, Any] = json.loads((out / "result.json").read_text())
    return found


def epoch(n: str, folder: str | None) -> dict[str, Any]:
    import torch
    from torch.profiler import ProfilerActivity, profile

    batch, _ = EPOCHS[n]
    with tempfile.TemporaryDirectory() as scratch:
        there = folder or noise(Path(scratch))
        common = ["--set", f"n={n}", "--data-dir", there, "--batch", str(batch)]
        train("examples/qrnn/permuted.qrl", Path(scratch) / "warm", *common, "--steps", "20")
        done = train("examples/qrnn/permuted.qrl", Path(scratch) / "run", *common, "--epochs", "3")
        lines = (Path(scratch) / "run" / "timing.jsonl").read_text().splitlines()
        ends = [json.loads(x)["seconds"] for x in lines]
        with profile(activities=[ProfilerActivity.CUDA]) as seen:
            begun = time.perf_counter()
            train("examples/qrnn/permuted.qrl", Path(scratch) / "seen", *common, "--epochs", "1")
            torch.cuda.synchronize()
            wall = time.perf_counter() - begun
        busy = sum(e.self_device_time_total for e in seen.key_averages()) / 1e6
        each = [b - a for a, b in zip([0.0, *ends], ends, strict=False)]
    return {
        "seconds": statistics.median(each),
        "test_s": done["seconds_of_test"],
        "idle": max(0.0, 1 - busy / wall),  # start and data of the run included
        "accuracy": done["figures"]["accuracy"]["value"],
    }


def noise(folder: Path) -> str:
    """Images of the right number and size."""
    import numpy as np

    draw = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 60_000), ("test", 10_000)):
        arrays[f"x_{split}"] = draw.integers(0, 256, (count, 28, 28), np.uint8)
        arrays[f"y_{split}"] = draw.integers(0, 10, count).astype(np.uint8)
    np.savez(folder / "mnist.npz", **arrays)
    return str(folder)


def learn(name: str, folder: str | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        begun = time.perf_counter()
        if name == "permuted":
            more = ["--data-dir", folder] if folder else []
            done = train("examples/qrnn/permuted.qrl", out, "--set", "n=10", "--epochs", "10",
                         "--batch", "128", *more)  # fmt: skip
        else:
            done = train("examples/copying/copying.qrl", out, "--data", "copying(delay: 400)",
                         "--batch", "512")  # fmt: skip
        return {
            "accuracy": done["figures"]["accuracy"]["value"],
            "minutes": (time.perf_counter() - begun) / 60,
        }


LEARN = {"permuted": (0.933, 0.6), "copying": (0.995, 1.0)}  # accuracy, minutes


# --- all of it


def worker(what: str, name: str, cache: str, folder: str | None, **env: str) -> dict[str, Any]:
    """One measurement in a process of its own."""
    command = [sys.executable, str(HERE / "gpu.py"), "--worker", what, name]
    if folder:
        command += ["--data", folder]
    done = subprocess.run(
        command, env=os.environ | {"QRLANG_CACHE_DIR": cache} | env, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1:] or ["no words"]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def no_gpu() -> str:
    try:
        import torch
    except ImportError:
        return "torch is not installed: pip install 'qrlang[cuda]'"
    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    from qrlang.backends.torch import cuda

    return cuda.unavailable(torch.device("cuda", 0))


def number(x: float | None, digits: int = 3) -> str:
    return "" if x is None else f"{x:.{digits}g}"


def row(name: str, aim: Aim, found: dict[str, Any], again: dict[str, Any]) -> tuple[str, bool]:
    c = aim.case
    if "failed" in found:
        return f"| {c.n}, {c.layers}, {c.steps}, {c.batch} | failed: {found['failed'][0]} |", False
    long, plain = found.get("error_long"), found.get("error_torch")
    right = found["error_short"] < TOLERANCE
    right = right and (long is None or long < RATIO * max(plain or 0.0, 1e-6))
    cells = [
        f"{c.n}, {c.layers}, {c.steps}, {c.batch}",
        number(aim.milliseconds), number(found["ms"]), number(found["with_weights_ms"]),
        number(found["megabytes"], 4) + (f" (at most {aim.megabytes:g})" if aim.megabytes < 1e9
                                         else ""),
        f"{found['error_short']:.1e}",
        f"{long:.1e} ({plain:.1e})" if long is not None and plain is not None else "",
        f"{found['backward_registers']}, {found['backward_local_bytes']}",
        number(found["kernels_s"]), number(again.get("kernels_s")),
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |", right


HEAD = f"""| n, L, T, B | at most, ms | kernels, ms | with gradients of weights, ms | memory, MB | \
error, T ≤ 64 | at T (plain torch) | registers, local bytes backward | kernels made, s \
(at most {COLD:g}) | from cache, s (at most {CACHED:g}) |
|---|---|---|---|---|---|---|---|---|---|"""


def main(arguments: argparse.Namespace) -> int:
    reason = no_gpu()
    if reason:
        print(f"nothing to measure: {reason}", file=sys.stderr)
        return 2
    import torch

    said = [f"# {torch.cuda.get_device_name(0)}, torch {torch.__version__}", "", HEAD]
    found: dict[str, Any] = {}
    fine = True
    for name in arguments.cases:
        with tempfile.TemporaryDirectory() as cache:
            one = worker("case", name, cache, None)
            again = worker("case", name, cache, None, QRLANG_GPU_COMPILE_ONLY="1")
        text, right = row(name, AIMS[name], one, again)
        found[f"case {name}"], fine = {**one, "again": again}, fine and right
        said.append(text)
        print(text, flush=True)
    cache = os.environ.get("QRLANG_CACHE_DIR", str(Path(tempfile.gettempdir()) / "qrlang-gpu"))
    if arguments.epochs:
        said += ["", "| permuted MNIST, n | at most, s/epoch | s/epoch | GPU idle |",
                 "|---|---|---|---|"]  # fmt: skip
    for n in arguments.epochs:
        found[f"epoch {n}"] = one = worker("epoch", n, cache, arguments.data)
        said.append(
            f"| {n} | {EPOCHS[n][1]:g} | {number(one.get('seconds'))} | "
            f"{100 * one.get('idle', math.nan):.0f} % |"
        )
        print(said[-1], flush=True)
    if arguments.learn:
        said += ["", "| example | accuracy at least | accuracy | minutes at most | minutes |",
                 "|---|---|---|---|---|"]  # fmt: skip
    for name, (accuracy, minutes) in LEARN.items() if arguments.learn else ():
        found[name] = one = worker("learn", name, cache, arguments.data)
        said.append(
            f"| {name} | {accuracy} | {number(one.get('accuracy'), 4)} | {minutes} | "
            f"{number(one.get('minutes'))} |"
        )
        print(said[-1], flush=True)
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu.md").write_text("\n".join(said) + "\n")
    (out / "gpu.json").write_text(json.dumps(found, indent=1))
    return 0 if fine else 1


def parsed() -> argparse.Namespace:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="*", choices=AIMS, default=list(AIMS))
    parser.add_argument("--epochs", nargs="*", choices=EPOCHS, default=list(EPOCHS))
    parser.add_argument("--learn", action="store_true")
    parser.add_argument("--data", default=os.environ.get("QRLANG_DATA"))
    parser.add_argument("--out", default=str(HERE))
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    asked = parsed()
    if asked.worker:
        what, name = asked.worker
        result = (
            measure(name) if what == "case"
            else epoch(name, asked.data) if what == "epoch"
            else learn(name, asked.data)
        )  # fmt: skip
        print(json.dumps(result))
    else:
        sys.exit(main(asked))

"""What `gpu.py` measures, each in a process of its own:

    python benchmarks/gpu_parts.py [--dry] [--data DIR] PART NAME

(errors, times, roads, epoch, idle, learn or nccl)
prints one line of JSON. `--dry`: on this machine's CPU, small, the kernels in the emulator of the
tests, and no figure means anything.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT)]

from work import Case, data, weights  # noqa: E402

SHORT = 64  # moments up to which an error is absolute


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
LEARN = {"permuted": (0.933, 0.6), "copying": (0.995, 1.0)}  # accuracy at least, minutes at most


# --- the machine: a GPU, or in a dry run what stands in for one ----------------------------------


class Gpu:
    dry = False
    device = "cuda"
    filler: Any = None

    def emulate(self) -> None:
        """Nothing to be done."""

    def sync(self) -> None:
        import torch

        torch.cuda.synchronize()

    def busy(self) -> None:
        """Some milliseconds of work: what is launched meanwhile waits in the queue, so that events
        around it hold its own time, and not that of Python's way to the next launch."""
        import torch

        if self.filler is None:
            self.filler = torch.rand(4096, 4096, device=self.device)
        for _ in range(2):
            torch.mm(self.filler, self.filler)

    @contextlib.contextmanager
    def timed(self, times: list[Any]) -> Iterator[None]:
        """What happens within, by device events; `milliseconds` reads them."""
        import torch

        a, b = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        a.record()
        yield
        b.record()
        times.append((a, b))

    def milliseconds(self, times: list[Any]) -> list[float]:
        self.sync()
        return [a.elapsed_time(b) for a, b in times]

    def peak(self, run: Callable[[], Any]) -> float:
        """Megabytes at most beyond those from before."""
        import torch

        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run()
        self.sync()
        return float(torch.cuda.max_memory_allocated() - before) / 1e6

    def resources(self, module: Any) -> dict[str, int]:
        """Registers and bytes of local memory of a thread: more than a few bytes are arrays that
        did not stay in registers."""
        names = module.gpu.driver.CUfunction_attribute
        asked = {"registers": names.CU_FUNC_ATTRIBUTE_NUM_REGS,
                 "local_bytes": names.CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES}  # fmt: skip
        return {
            f"{kernel}_{name}": int(module.gpu.call("cuFuncGetAttribute", attribute, function))
            for kernel, function in module.functions.items()
            for name, attribute in asked.items()
        }

    def made(self, module: Any) -> list[Any]:
        return list(module.made().values())


class Dry(Gpu):
    dry = True
    device = "cpu"

    def emulate(self) -> None:
        """Models take the kernels' road, and the emulator runs them."""
        sys.path.insert(0, str(ROOT / "tests"))
        from emulated import Emulated

        from qrlang.backends.torch import gpu
        from qrlang.backends.torch.native import road as native

        launcher = Emulated()
        native.machine = lambda model: "cuda"
        gpu.launcher = lambda device: launcher
        gpu.unavailable = lambda device: ""

    def sync(self) -> None:
        pass

    def busy(self) -> None:
        pass

    @contextlib.contextmanager
    def timed(self, times: list[Any]) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        times.append(1e3 * (time.perf_counter() - begun))

    def milliseconds(self, times: list[Any]) -> list[float]:
        return times

    def peak(self, run: Callable[[], Any]) -> float:
        run()
        return 0.0

    def resources(self, module: Any) -> dict[str, int]:
        return {"forward_registers": 0, "backward_registers": 0, "backward_local_bytes": 0}

    def made(self, module: Any) -> list[Any]:
        return []


def small(case: Case) -> Case:
    return Case(min(case.n, 3), 1, min(case.steps, SHORT + 1) if case.steps > SHORT else 4, 4)


# --- figures -------------------------------------------------------------------------------------


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


def loaded(made: Any, batch: int) -> Any:
    """The kernels that a batch takes."""
    from qrlang.backends.torch.native import road as native

    return native._of(made).cuda.on(made.like.device, "float32").kernels(batch)


def errors(machine: Gpu, name: str) -> dict[str, Any]:
    """Making the kernels; then errors of a few sequences, a long one beside plain torch."""
    import torch

    case = small(AIMS[name].case) if machine.dry else AIMS[name].case
    x64, _ = data(case)
    made = model(case, torch.float32, machine.device, "native")
    made.chosen_road()
    begun = time.perf_counter()
    one = loaded(made, case.batch)
    parts = machine.made(one.loaded)
    found: dict[str, Any] = {
        "kernels_s": time.perf_counter() - begun,
        "each_s": [p.seconds for p in parts],
        "from_cache": all(p.kept for p in parts),
    }
    few = x64[: 4 if case.n < 14 else 1]
    for kind, part in (("short", few[:, :SHORT]), ("long", few[:1])):
        if kind == "long" and case.steps <= SHORT:
            continue
        # All of it by the kernels of the whole batch: other sequences are the same few again.
        copies = -(-case.batch // len(part))
        whole = torch.as_tensor(part, dtype=torch.float32, device=machine.device)
        whole = whole.repeat(copies, 1, 1)[: case.batch]
        truth = slopes(model(case, torch.float64, "cpu", "plain" if machine.dry else None),
                       torch.as_tensor(part))  # fmt: skip
        own = whole[: len(part)]
        y = made(whole)
        assert torch.allclose(y[: len(part)], made(own), atol=1e-5)
        seeds = torch.linspace(-1, 1, y[: len(part)].numel(), device=y.device).view(len(part), -1)
        mine = torch.autograd.grad((y[: len(part)] * seeds).sum(), list(made.parameters()))
        found[f"error_{kind}"] = error(mine, truth)
        if kind == "long":
            plain = model(case, torch.float32, machine.device, "plain")
            found["error_torch"] = error(slopes(plain, own), truth)
    made.settle()
    return found


class Clocked:
    """A loaded module, with the time between before and after each launch."""

    def __init__(self, machine: Gpu, inner: Any) -> None:
        self.machine, self.inner = machine, inner
        self.times: list[Any] = []

    def launch(self, *arguments: Any) -> None:
        with self.machine.timed(self.times):
            self.inner.launch(*arguments)

    def total(self) -> float:
        found = sum(self.machine.milliseconds(self.times))
        self.times = []
        return found


def times(machine: Gpu, name: str, seconds: float = 2.0) -> dict[str, Any]:
    """Times and memory; kernels come from the cache if `errors` was there before."""
    import torch

    of = small(AIMS[name].case) if machine.dry else AIMS[name].case
    x = torch.as_tensor(data(of)[0], dtype=torch.float32, device=machine.device)
    made = model(of, torch.float32, machine.device, "native")
    made.checks = "later"
    made.chosen_road()
    machine.sync()
    begun = time.perf_counter()
    one = loaded(made, of.batch)
    parts = machine.made(one.loaded)
    found: dict[str, Any] = {
        "cached_s": time.perf_counter() - begun,
        "from_cache": all(p.kept for p in parts),
    }
    begun = time.perf_counter()
    slopes(made, x)
    machine.sync()
    found["first_call_s"] = time.perf_counter() - begun
    found |= machine.resources(one.loaded)
    found["megabytes"] = machine.peak(lambda: slopes(made, x))
    most = 3 if machine.dry else 200
    for _ in range(2):
        slopes(made, x)
    taken: list[Any] = []
    end = time.perf_counter() + seconds
    while len(taken) < min(10, most) or (time.perf_counter() < end and len(taken) < most):
        machine.busy()
        with machine.timed(taken):
            slopes(made, x)
        machine.sync()
    found["with_weights_ms"] = statistics.median(machine.milliseconds(taken))
    clocked = one.loaded = Clocked(machine, one.loaded)
    alone = []
    for _ in range(min(20, most)):
        machine.busy()
        slopes(made, x)
        alone.append(clocked.total())
    found["ms"] = statistics.median(alone)
    made.settle()
    return found


def roads(machine: Gpu, name: str) -> dict[str, Any]:
    """Forward and backward, by every road: road 2 also as one CUDA graph."""
    import torch

    of = Case(int(name), 2, 64, 256)
    of = small(of) if machine.dry else of
    x = torch.as_tensor(data(of)[0], dtype=torch.float32, device=machine.device)
    found = {}
    for road, most in (("native", 20), ("stepwise", 5), ("plain", 3)):
        made = model(of, torch.float32, machine.device, road)
        made.checks = "later"
        slopes(made, x)
        found[f"{road}_ms"] = _median(machine, lambda made=made: slopes(made, x), most)
        if road == "stepwise" and not machine.dry:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                slopes(made, x)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                slopes(made, x)
            found["graph_ms"] = _median(machine, graph.replay, 10)
    return found


def _median(machine: Gpu, run: Callable[[], Any], most: int) -> float:
    taken: list[Any] = []
    for _ in range(2 if machine.dry else most):
        machine.busy()
        with machine.timed(taken):
            run()
        machine.sync()
    return statistics.median(machine.milliseconds(taken))


# --- epochs, and what is learnt ------------------------------------------------------------------


def train(machine: Gpu, page: str, out: Path, *arguments: str) -> dict[str, Any]:
    from qrlang.cli.main import run as qrlc

    device = machine.device
    with contextlib.redirect_stdout(sys.stderr):
        status = qrlc(
            ["train", str(ROOT / page), "--device", device, "--out", str(out), *arguments]
        )
    if status:
        raise SystemExit(f"qrlc train {page} ended with {status}")
    found: dict[str, Any] = json.loads((out / "result.json").read_text())
    return found


def permuted(machine: Gpu, n: str, batch: int, folder: str | None, scratch: Path) -> list[str]:
    if machine.dry:
        n, batch, folder = "2", 32, None
    return ["--set", f"n={n}", "--data-dir", folder or noise(scratch, machine.dry),
            "--batch", str(batch)]  # fmt: skip


def epoch(machine: Gpu, n: str, folder: str | None) -> dict[str, Any]:
    batch, most = EPOCHS[n]
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        common = permuted(machine, n, batch, folder, scratch)
        page = "examples/qrnn/permuted.qrl"
        train(machine, page, scratch / "warm", *common, "--steps", "4" if machine.dry else "20")
        count = "1" if most > 10 else "3"
        done = train(machine, page, scratch / "run", *common, "--epochs", count)
        lines = (scratch / "run" / "timing.jsonl").read_text().splitlines()
    ends = [json.loads(x)["seconds"] for x in lines]
    each = [b - a for a, b in zip([0.0, *ends], ends, strict=False)]
    return {
        "seconds": statistics.median(each),
        "test_s": done["seconds_of_test"],
        "accuracy": done["figures"]["accuracy"]["value"],
        "noise": not folder or machine.dry,
    }


def idle(machine: Gpu, n: str, folder: str | None) -> dict[str, Any]:
    """How long the GPU waits in an epoch's updates, by torch's profiler."""
    from torch.profiler import ProfilerActivity, profile

    from qrlang.training.loop import Trainer

    batch, _ = EPOCHS[n]
    seen: dict[str, float] = {}
    plain = Trainer.groups
    kind = ProfilerActivity.CPU if machine.dry else ProfilerActivity.CUDA

    def watched(self: Any) -> Iterator[Any]:
        machine.sync()
        profiler = profile(activities=[kind])
        profiler.start()
        begun = time.perf_counter()
        try:
            yield from plain(self)
        finally:  # the last update of a run leaves the rest of the batches
            machine.sync()
            seen["wall_s"] = time.perf_counter() - begun
            profiler.stop()
            busy = sum(e.self_device_time_total for e in profiler.key_averages())
            seen["busy_s"] = busy / 1e6

    with tempfile.TemporaryDirectory() as name:
        common = permuted(machine, n, batch, folder, Path(name))
        page, steps = "examples/qrnn/permuted.qrl", "4" if machine.dry else "20"
        train(machine, page, Path(name) / "warm", *common, "--steps", steps)
        Trainer.groups = watched  # type: ignore[method-assign]
        train(machine, page, Path(name) / "seen", *common, "--epochs", "1")
    return {**seen, "idle": max(0.0, 1 - seen["busy_s"] / seen["wall_s"])}


def noise(folder: Path, dry: bool) -> str:
    """Images of the right number and size."""
    import numpy as np

    draw = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 96 if dry else 60_000), ("test", 32 if dry else 10_000)):
        size = (count, 28, 28)
        arrays[f"x_{split}"] = draw.integers(0, 256, size, np.uint8)
        arrays[f"y_{split}"] = draw.integers(0, 10, count).astype(np.uint8)
    np.savez(folder / "mnist.npz", **arrays)
    return str(folder)


def learn(machine: Gpu, name: str, folder: str | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        begun = time.perf_counter()
        if name == "permuted":
            common = permuted(machine, "10", 256, folder, Path(scratch))
            long = ["--lr", "7e-3", "--epochs", "1" if machine.dry else "10"]
            done = train(machine, "examples/qrnn/permuted.qrl", out, *common, *long)
        else:
            delay, more = "400", ["--epochs", "40"]
            if machine.dry:
                delay, more = "4", ["--set", "n=2", "--epochs", "1", "--batch", "512"]
            done = train(machine, "examples/copying/copying.qrl", out,
                         "--data", f"copying(delay: {delay})", *more)  # fmt: skip
        return {
            "accuracy": done["figures"]["accuracy"]["value"],
            "minutes": (time.perf_counter() - begun) / 60,
        }


def nccl(machine: Gpu, name: str, folder: str | None) -> dict[str, Any]:
    """One process that `torchrun` has started: sums through NCCL, and a run of training."""
    import torch
    import torch.distributed as dist

    both = not machine.dry and dist.is_nccl_available()
    if both:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("cpu:gloo,cuda:nccl" if both else "gloo")
    x = torch.arange(5.0, device=machine.device)
    dist.all_reduce(x)
    box: list[Any] = [None]
    dist.all_gather_object(box, "here")
    machine.sync()
    right = x.tolist() == [0, 1, 2, 3, 4] and box == ["here"]
    dist.destroy_process_group()
    with tempfile.TemporaryDirectory() as scratch:
        common = permuted(machine, "8", 512, folder, Path(scratch))
        out = Path(scratch) / "run"
        steps = "4" if machine.dry else "50"
        done = train(machine, "examples/qrnn/permuted.qrl", out, *common, "--steps", steps)
    return {"sums": right, "nccl": both, "accuracy": done["figures"]["accuracy"]["value"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what")
    parser.add_argument("name")
    parser.add_argument("--data")
    parser.add_argument("--dry", action="store_true")
    given = parser.parse_args()
    machine = Dry() if given.dry else Gpu()
    if given.what in ("errors", "times", "roads"):
        machine.emulate()
        found = {"errors": errors, "times": times, "roads": roads}[given.what](machine, given.name)
    else:
        run = {"epoch": epoch, "idle": idle, "learn": learn, "nccl": nccl}[given.what]
        found = run(machine, given.name, given.data)
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main()

"""The roads of qrlang against what people use, in one run on one core.

    python benchmarks/compare.py [c4 c6 … cmem] [--routes native fused …] [--out FOLDER]

Every cell is a process of its own, pinned to one core with one thread: a few training steps to
warm up, then the median CPU time of a step, the peak memory, and the loss (all routes do the same
work, and their losses must agree). Routes whose library is not installed are left out, with a
line that says so. Then memory on long sequences, making kernels and large states on two threads.
Writes `results.md`, with the figures that road 1 is held to beside what was measured, and
`results.svg`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import goals  # noqa: E402
from picture import picture  # noqa: E402
from work import CASES  # noqa: E402

# Route -> what it is, the library it needs.
ROUTES = {
    "native": ("qrlang, road 1 (native)", "torch"),
    "stepwise": ("qrlang, road 2 (stepwise)", "torch"),
    "plain": ("qrlang, road 3 (plain torch)", "torch"),
    "gates": ("torch by hand, gate by gate", "torch"),
    "fused": ("torch by hand, fused", "torch"),
    "pennylane": ("PennyLane, torch, backprop", "pennylane"),
    "torchquantum": ("TorchQuantum", "torchquantum"),
    "jax": ("JAX by hand, jit + scan + checkpoint", "jax"),
}


def build(route: str, case: Any) -> Callable[[], float]:
    if route == "jax":
        from routes_jax import compiled

        return compiled(case)
    import routes_torch as routes
    import torch

    torch.set_num_threads(1)
    if route in ("native", "stepwise", "plain"):
        return routes.road(route)(case)
    named = {"gates": "gate_by_gate", "fused": "fused"}
    return getattr(routes, named.get(route, route))(case)


def clock(run: Callable[[], Any], seconds: float, least: int = 3) -> float:
    """Milliseconds of CPU time, the median."""
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < least or (time.perf_counter() < until and len(times) < 200):
        begun = time.process_time()
        run()
        times.append(time.process_time() - begun)
        if sum(times) > 8 * seconds:
            break
    return statistics.median(times) * 1e3


def peak_memory() -> float:
    """Megabytes that the process held at most."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cell(route: str, name: str, seconds: float) -> dict[str, Any]:
    """One route on one case, in this process."""
    begun = time.perf_counter()
    step = build(route, CASES[name])
    loss = step()
    first = time.perf_counter() - begun
    found: dict[str, Any] = {"loss": loss, "first": first}
    if first < 20:
        step()
    found["ms"] = clock(step, seconds)
    found["memory"] = peak_memory()
    if route == "native":
        from routes_torch import kernel_times

        found |= kernel_times(step, CASES[name], lambda run: clock(run, seconds / 2))
    return found


def floor() -> float:
    """Megabytes of a process that has imported torch and run autograd once, on next to nothing."""
    code = (
        "import torch; torch.set_num_threads(1)\n"
        "w = torch.nn.Parameter(torch.ones(4, 4)); o = torch.optim.Adam([w], fused=True)\n"
        "torch.nn.functional.cross_entropy(w @ w, torch.zeros(4).long()).backward(); o.step()\n"
        "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    return float(_run(["-c", code]))


def _run(arguments: list[str], limit: float = 600) -> str:
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "QRLANG_THREADS"), "1")
    one["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    done = subprocess.run(
        [sys.executable, *arguments], env={**os.environ, **one}, cwd=HERE,
        capture_output=True, text=True, timeout=limit, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr else "it failed")
    return done.stdout.strip().splitlines()[-1]


def table(
    found: dict[str, dict[str, dict[str, Any]]],
    cases: list[str],
    base: float,
    extra: dict[str, Any],
) -> str:
    """The Markdown page."""
    lines = [
        f"One core of {processor()}; Python {platform.python_version()}.",
        "",
        "A training step (forward, loss, backward, Adam) in ms of CPU time, median.",
        "",
        "| route | " + " | ".join(cases) + " |",
        "|---|" + "---|" * len(cases),
    ]
    for route, results in found.items():
        row = [short(results[c]["ms"]) if c in results else "" for c in cases]
        lines.append(f"| {ROUTES[route][0]} | {' | '.join(row)} |")
    lines += ["", "How many times faster road 1 is.", ""]
    lines += lines[4:6]
    for route, results in found.items():
        if route != "native" and "native" in found:
            row = [
                short(results[c]["ms"] / found["native"][c]["ms"]) + "x"
                if c in results and c in found["native"] else ""
                for c in cases
            ]  # fmt: skip
            lines.append(f"| {ROUTES[route][0]} | {' | '.join(row)} |")
    lines += ["", f"Peak memory in MB. The floor (torch, autograd once) is {base:.0f}.", ""]
    lines += lines[4:6]
    for route, results in found.items():
        row = [f"{results[c]['memory']:.0f}" if c in results else "" for c in cases]
        lines.append(f"| {ROUTES[route][0]} | {' | '.join(row)} |")
    if "native" in found:
        lines += ["", "Road 1: the kernel alone, and its share of the core's multiply-adds.", ""]
        lines += lines[4:6]
        for key, words, form in (("kernel", "kernel, ms", "{:.3g}"), ("share", "share", "{:.0%}")):
            row = [
                form.format(found["native"][c][key]) if c in found["native"] else "" for c in cases
            ]
            lines.append(f"| {words} | {' | '.join(row)} |")
        lines += ["", "What road 1 is held to.", ""]
        lines += goals.table(found, extra, base)
    return "\n".join(lines) + "\n"


def short(x: float) -> str:
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        return next(x.split(":")[1].strip() for x in text.splitlines() if "model name" in x)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=[], choices=[[], *CASES])
    parser.add_argument("--routes", nargs="*", default=list(ROUTES), choices=list(ROUTES))
    parser.add_argument("--seconds", type=float, default=2.0, help="of timing, for each cell")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--steps-only", action="store_true", help="training steps, nothing else")
    parser.add_argument("--cell", nargs=2, metavar=("ROUTE", "CASE"), help=argparse.SUPPRESS)
    parser.add_argument("--goal", nargs=2, metavar=("NAME", "NUMBER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.cell:
        print(json.dumps(cell(*args.cell, args.seconds)))
        return
    if args.goal:
        import torch

        torch.set_num_threads(1)
        print(json.dumps(goals.one(args.goal[0], float(args.goal[1]))))
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the processes inherit it
    cases = args.cases or list(CASES)
    base = floor()
    print(f"floor {base:.0f} MB")
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for route in args.routes:
        words, library = ROUTES[route]
        if find_spec(library) is None:
            print(f"{words}: left out, {library} is not installed")
            continue
        for name in cases:
            try:
                text = _run([__file__, "--seconds", str(args.seconds), "--cell", route, name])
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                print(f"{words}, {name}: {error}", flush=True)
                continue
            result = json.loads(text)
            found.setdefault(route, {})[name] = result
            _compare(found, route, name)
            print(
                f"{words:38} {name:5} {result['ms']:9.3f} ms  {result['memory']:6.0f} MB"
                + (f"  {result['share']:.0%} of the core" if "share" in result else ""),
                flush=True,
            )
        write(args.out, found, cases, base, {})  # what there is, should the next be interrupted
    extra: dict[str, Any] = {}
    if "native" in found and not args.steps_only:
        extra = goals.more(
            lambda name, number: json.loads(_run([__file__, "--goal", name, str(number)])),
            args.seconds,
        )
        write(args.out, found, cases, base, extra)
    print("\n" + table(found, cases, base, extra))


def write(
    out: Path,
    found: dict[str, dict[str, dict[str, Any]]],
    cases: list[str],
    base: float,
    extra: dict[str, Any],
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.md").write_text(table(found, cases, base, extra))
    words = {route: text for route, (text, _) in ROUTES.items()}
    (out / "results.svg").write_text(picture(found, cases, words))


def _compare(found: dict[str, dict[str, dict[str, Any]]], route: str, name: str) -> None:
    """All routes do the same work: they begin with the same loss."""
    first = next(r[name]["loss"] for r in found.values() if name in r)
    mine = found[route][name]["loss"]
    if abs(mine - first) > 2e-3 * abs(first):
        print(f"  the loss is {mine:.6f}, and others have {first:.6f}: not the same work")


if __name__ == "__main__":
    main()

"""The engine on a GPU, in one command and at most eight minutes on an H200: what is tested there,
the figures beside what they are meant to be, epochs, what is learnt.

    python benchmarks/gpu.py [--data DIR] [--out FOLDER] [--only PART …] [--minutes 8]
    python benchmarks/gpu.py --dry    # on any machine: small, emulated; no figure means anything

On a bare machine with a driver for CUDA 13 (580 or later), in a checkout:

    python3 -m venv v && . v/bin/activate
    pip install torch
    pip install -e '.[cuda,train]' pytest pytest-timeout pytest-xdist hypothesis
    python benchmarks/gpu.py --data FOLDER

The same without a network there: `pip download -d wheels` of these on another one, and then
`pip install --no-index --find-links wheels …`. FOLDER has MNIST as `qrlc train` takes it; without
it images are noise, and nothing can be learnt from them.

Every part is a process of its own with a limit of its own; what fails or takes too long is said in
its row, and the others go on. Tests, errors and the making of kernels run side by side at first,
then everything that is timed, alone. Errors are those of gradients against float64 on the CPU, on
long sequences beside those of plain torch in complex64. Writes `gpu.md` and `gpu.json` after every
part. The exit status is 1 where a part failed or an error is too large, 2 where there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT)]

from gpu_parts import AIMS, EPOCHS, LEARN  # noqa: E402

TOLERANCE, RATIO = 1e-4, 2.0
COLD, CACHED = 5.0, 0.2  # seconds for kernels
IDLE = 0.1
SIDE_BY_SIDE = 6

Found = dict[str, Any]


@dataclass(frozen=True)
class Part:
    what: str
    name: str
    limit: float  # seconds
    alone: bool = True

    def __str__(self) -> str:
        return f"{self.what}-{self.name}"


PARTS = (
    Part("tests", "gpu", 200, alone=False),
    *(Part("errors", name, 150, alone=False) for name in reversed(AIMS)),
    *(Part("times", name, 60) for name in AIMS),
    Part("epoch", "14", 120),
    Part("learn", "copying", 120),
    Part("learn", "permuted", 120),
    Part("epoch", "8", 60),
    Part("epoch", "10", 60),
    Part("idle", "10", 60),
    Part("roads", "10", 60),
    Part("nccl", "1", 60),
)  # fmt: skip


# --- one part ------------------------------------------------------------------------------------


def command(part: Part, given: argparse.Namespace) -> list[str]:
    if part.what == "tests":
        return [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider",
                "-p", "no:benchmark", "-n", "3", "tests/cuda/test_gpu.py"]  # fmt: skip
    start = [sys.executable]
    if part.what == "nccl":
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1"]
    more = ["--data", given.data] if given.data else []
    more += ["--dry"] if given.dry else []
    return [*start, str(HERE / "gpu_parts.py"), part.what, part.name, *more]


def run(part: Part, given: argparse.Namespace, cache: str, end: float) -> Found:
    """What a part found; or why it did not, in `failed`."""
    seconds = min(part.limit, end - time.monotonic())
    if seconds < 5:
        return {"failed": "no time was left"}
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = os.environ | {"QRLANG_CACHE_DIR": cache, "PYTHONPATH": path}
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as out:
        process = subprocess.Popen(
            command(part, given), env=env, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=os.name == "posix",
        )  # fmt: skip
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            status = None
        out.seek(0)
        lines = [x for x in out.read().splitlines() if x.strip()]
    found: Found = {"took_s": round(time.monotonic() - begun, 1)}
    if status is None:
        return found | {"failed": f"took longer than {seconds:.0f} s", "said": lines[-40:]}
    if part.what == "tests":
        found |= {"said": [x for x in lines if x.startswith(("FAILED", "ERROR"))][:30]}
        last = lines[-1] if lines else "no words"
        return found | ({"passed": last} if status == 0 else {"failed": last, "log": lines[-60:]})
    try:
        if status:
            raise ValueError
        return found | json.loads(lines[-1])
    except (ValueError, IndexError):
        return found | {"failed": lines[-1][:200] if lines else "no words", "said": lines[-40:]}


def _end(process: subprocess.Popen[bytes]) -> None:
    """With those that it has started."""
    try:
        if os.name == "posix":
            os.killpg(process.pid, 9)
        else:
            process.kill()
    except OSError:
        pass
    process.wait()


# --- the page ------------------------------------------------------------------------------------


def number(x: Any, digits: int = 3) -> str:
    return f"{x:.{digits}g}" if isinstance(x, (int, float)) else ""


def small(x: Any) -> str:
    return f"{x:.1e}" if isinstance(x, (int, float)) else ""


def right(errors: Mapping[str, Any]) -> bool:
    """Are a case's errors as small as they have to be."""
    long, plain = errors.get("error_long"), errors.get("error_torch")
    fine: bool = errors.get("error_short", math.inf) < TOLERANCE
    return fine and (long is None or long < RATIO * max(plain or 0.0, 1e-6))


def page(found: Mapping[str, Found], head: str) -> str:
    lines = [f"# {head}", "", *_figures(found), "", *_epochs(found), "", *_rest(found)]
    failed = {k: v for k, v in found.items() if "failed" in v}
    if failed:
        lines += ["", "## What failed"]
        for name, one in failed.items():
            said = one.get("said") or one.get("log") or []
            lines += ["", f"{name}: {one['failed']}", "", "```", *said, "```"]
    return "\n".join(lines) + "\n"


def _figures(found: Mapping[str, Found]) -> list[str]:
    lines = [
        "| n, L, T, B | at most, ms | kernels, ms | with gradients of weights, ms | memory, MB | "
        "error, T ≤ 64 | at T (plain torch) | registers, bytes of stack, backward | "
        f"kernels made, s (at most {COLD:g}) | from cache, s (at most {CACHED:g}) | fine |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, aim in AIMS.items():
        c, e, t = aim.case, found.get(f"errors-{name}", {}), found.get(f"times-{name}", {})
        memory = number(t.get("megabytes"), 4)
        if aim.megabytes < math.inf:
            memory += f" (at most {aim.megabytes:g})"
        long, plain = e.get("error_long"), e.get("error_torch")
        fine = (
            right(e)
            and t.get("ms", math.inf) <= aim.milliseconds
            and t.get("megabytes", math.inf) <= aim.megabytes
            and e.get("kernels_s", math.inf) <= COLD
            and t.get("cached_s", math.inf) <= CACHED
        )
        cells = [
            f"{c.n}, {c.layers}, {c.steps}, {c.batch}",
            number(aim.milliseconds), number(t.get("ms")), number(t.get("with_weights_ms")),
            memory, small(e.get("error_short")),
            f"{small(long)} ({small(plain)})" if long is not None else "",
            f"{t.get('backward_registers', '')}, {t.get('backward_local_bytes', '')}",
            number(e.get("kernels_s")), number(t.get("cached_s")), "yes" if fine else "no",
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _epochs(found: Mapping[str, Found]) -> list[str]:
    lines = ["| permuted MNIST, n, batch | at most, s/epoch | s/epoch | test, s | fine |",
             "|---|---|---|---|---|"]  # fmt: skip
    for n, (batch, most) in EPOCHS.items():
        one = found.get(f"epoch-{n}", {})
        fine = "yes" if one.get("seconds", math.inf) <= most else "no"
        lines.append(
            f"| {n}, {batch} | {most:g} | {number(one.get('seconds'))} | "
            f"{number(one.get('test_s'))} | {fine} |"
        )
    lines += ["", "| example | accuracy at least | accuracy | minutes at most | minutes | fine |",
              "|---|---|---|---|---|---|"]  # fmt: skip
    for name, (accuracy, minutes) in LEARN.items():
        one = found.get(f"learn-{name}", {})
        fine = one.get("accuracy", 0) >= accuracy and one.get("minutes", math.inf) <= minutes
        lines.append(
            f"| {name} | {accuracy} | {number(one.get('accuracy'), 4)} | {minutes} | "
            f"{number(one.get('minutes'))} | {'yes' if fine else 'no'} |"
        )
    return lines


def _rest(found: Mapping[str, Found]) -> list[str]:
    tests, idle, one, roads = (
        found.get(k, {}) for k in ("tests-gpu", "idle-10", "nccl-1", "roads-10")
    )
    share = f"{idle['idle']:.0%}" if "idle" in idle else "not known"
    return [
        f"- tests on the GPU: {tests.get('passed') or tests.get('failed', 'not run')}",
        f"- the GPU is idle in an epoch at n = 10: {share} (at most {IDLE:.0%})",
        "- one process of torchrun: "
        + ("sums and training run" + (", by NCCL" if one.get("nccl") else ", without NCCL")
           if one.get("sums") else one.get("failed", "not run")),
        "- forward and backward at n, L, T, B = 10, 2, 64, 256, in ms: "
        f"road 1 {number(roads.get('native_ms'))}, road 2 {number(roads.get('stepwise_ms'))}, "
        f"as a CUDA graph {number(roads.get('graph_ms'))}, "
        f"plain torch {number(roads.get('plain_ms'))}",
        f"- all parts took {sum(v.get('took_s', 0) for v in found.values()):.0f} s of processes",
    ]  # fmt: skip


# --- all of it -----------------------------------------------------------------------------------


def no_gpu() -> str:
    try:
        import torch
    except ImportError:
        return "torch is not installed: pip install torch"
    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    from qrlang.backends.torch.native import cuda

    return cuda.unavailable(torch.device("cuda", 0))


def head(dry: bool) -> str:
    import torch

    name = "dry run, no figure means anything" if dry else torch.cuda.get_device_name(0)
    from qrlang.engine.cuda.launch.compile import versions
    from qrlang.engine.cuda.launch.launcher import Unavailable

    try:
        made_by = versions()
    except Unavailable as why:
        made_by = str(why)
    return f"{name}, torch {torch.__version__}, {made_by}"


def main(given: argparse.Namespace) -> int:
    # Asked in a process of its own: this one leaves the GPU alone.
    if not given.dry:
        asked = subprocess.run([sys.executable, __file__, "--why-not"], capture_output=True,
                               text=True, check=False, cwd=ROOT)  # fmt: skip
        reason = asked.stdout.strip() if not asked.returncode else asked.stderr.strip()[-500:]
        if reason:
            print(f"nothing to measure: {reason}", file=sys.stderr)
            return 2
    end = time.monotonic() + 60 * given.minutes
    chosen = [p for p in PARTS if not given.only or str(p) in given.only or p.what in given.only]
    if given.dry:
        chosen = [p for p in chosen if p.what != "tests"]
    out = Path(given.out)
    out.mkdir(parents=True, exist_ok=True)
    title, found = head(given.dry), {}
    cache = tempfile.mkdtemp(prefix="qrlang-gpu-")

    def note(part: Part, one: Found) -> None:
        found[str(part)] = one
        ordered = {str(p): found[str(p)] for p in PARTS if str(p) in found}
        (out / "gpu.json").write_text(json.dumps(ordered, indent=1))
        (out / "gpu.md").write_text(page(ordered, title))
        print(f"{part}: {one.get('failed') or 'done'} ({one.get('took_s', 0)} s)", flush=True)

    try:
        beside = [p for p in chosen if not p.alone]
        with ThreadPoolExecutor(1 if given.dry else SIDE_BY_SIDE) as pool:
            jobs = {pool.submit(run, p, given, cache, end): p for p in beside}
            for job in as_completed(jobs):
                note(jobs[job], job.result())
        for part in chosen:
            if part.alone:
                note(part, run(part, given, cache, end))
    finally:
        shutil.rmtree(cache, ignore_errors=True)
    print((out / "gpu.md").read_text())
    wrong = [k for k, v in found.items() if k.startswith("errors") and not right(v)]
    return 1 if wrong or any("failed" in v for v in found.values()) else 0


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = sorted({p.what for p in PARTS} | {str(p) for p in PARTS})
    parser.add_argument("--only", nargs="*", choices=names, metavar="PART",
                        help="of " + ", ".join(names))  # fmt: skip
    parser.add_argument("--data", default=os.environ.get("QRLANG_DATA"), metavar="DIR")
    parser.add_argument("--out", default=str(HERE), metavar="FOLDER")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--dry", action="store_true")
    parser.add_argument("--why-not", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    asked = parsed()
    if asked.why_not:
        print(no_gpu())
    else:
        sys.exit(main(asked))

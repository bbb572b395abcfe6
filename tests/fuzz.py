"""Mutated programs through the command line: none may crash it.

    python tests/fuzz.py --count 20000 [--seed 0]

Each ends in exit code 0 or 1, within 5 seconds and 1 GB. What does not is printed, and written to
a file whose name is printed too.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 5.0
BYTES = 2**30

TOKEN = re.compile(r"\w+|\s+|.", re.DOTALL)
HUGE = [
    "10**9",
    "1000000000",
    "9" * 400,
    "2**64",
    "10**10**10",
    "1e400",
    "-1",
    "0",
    "1024",
    "100001",
]
DEEP = [("(", ")"), ("[", "]"), ("-", ""), ("not ", ""), ("f(", ")"), ("a[", "]"), ("if b { ", " }"),
        ("for i in 0..9 { ", " }"), ("ctrl @ ", ""), ("sin(", ")"), ("{", "}"), ("/*", "")]  # fmt: skip

Mutation = Callable[[str, random.Random, list[str]], str]


def cut(text: str, rng: random.Random, seeds: list[str]) -> str:
    a, b = sorted(rng.randrange(len(text) + 1) for _ in range(2))
    return text[:a] + text[b:] if rng.random() < 0.6 else text[:a]


def doubled(text: str, rng: random.Random, seeds: list[str]) -> str:
    a, b = sorted(rng.randrange(len(text) + 1) for _ in range(2))
    return text[:b] + text[a:b] * rng.choice([1, 1, 2, 30]) + text[b:]


def shuffled_lines(text: str, rng: random.Random, seeds: list[str]) -> str:
    lines = text.splitlines(keepends=True)
    for _ in range(rng.randint(1, 4)):
        i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[i], lines[j] = lines[j], lines[i]
    return "".join(lines)


def swapped_tokens(text: str, rng: random.Random, seeds: list[str]) -> str:
    parts = TOKEN.findall(text)
    for _ in range(rng.randint(1, 6)):
        i, j = rng.randrange(len(parts)), rng.randrange(len(parts))
        parts[i], parts[j] = parts[j], parts[i]
    return "".join(parts)


def foreign_tokens(text: str, rng: random.Random, seeds: list[str]) -> str:
    parts, other = TOKEN.findall(text), TOKEN.findall(rng.choice(seeds))
    for _ in range(rng.randint(1, 4)):
        parts[rng.randrange(len(parts))] = rng.choice(other)
    return "".join(parts)


def spliced(text: str, rng: random.Random, seeds: list[str]) -> str:
    other = rng.choice(seeds).splitlines(keepends=True)
    lines = text.splitlines(keepends=True)
    at, begin = rng.randrange(len(lines) + 1), rng.randrange(len(other))
    lines[at:at] = other[begin : begin + rng.randint(1, 8)]
    return "".join(lines)


def dropped_token(text: str, rng: random.Random, seeds: list[str]) -> str:
    parts = TOKEN.findall(text)
    del parts[rng.randrange(len(parts))]
    return "".join(parts)


def huge_numbers(text: str, rng: random.Random, seeds: list[str]) -> str:
    places = list(re.finditer(r"\b\d+\b", text))
    if not places:
        return text + f"\nconst huge = {rng.choice(HUGE)}\n"
    m = rng.choice(places)
    return text[: m.start()] + rng.choice(HUGE) + text[m.end() :]


def nested(text: str, rng: random.Random, seeds: list[str]) -> str:
    left, right = rng.choice(DEEP)
    depth = rng.choice([10, 100, 1000, 20_000])
    places = [m.start() for m in re.finditer(r"\b\w", text)] or [0]
    at = rng.choice(places)
    return text[:at] + left * depth + "1" + right * depth + text[at:]


def long_line(text: str, rng: random.Random, seeds: list[str]) -> str:
    word = rng.choice(
        ["a", "1", " ", "é", '"', "//x", "a + ", "x[0], ", "\t", "\\", "∂", "1.", "@ "]
    )
    line = (word * (2**20 // len(word)))[: 2**20]
    at = rng.randrange(len(text) + 1)
    return text[:at] + line + text[at:]


MUTATIONS: list[tuple[Mutation, int]] = [
    (cut, 5), (doubled, 3), (shuffled_lines, 5), (swapped_tokens, 5), (foreign_tokens, 8),
    (spliced, 5), (dropped_token, 5), (huge_numbers, 6), (nested, 3), (long_line, 1),
]  # fmt: skip


def random_bytes(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        out[rng.randrange(len(out))] = rng.randrange(256)
    return bytes(out)


COMMANDS = [
    (("check", "-"), 8),
    (("fmt", "-"), 2),
    (("inspect", "-"), 1),
    (("draw", "-"), 1),
    (("compile", "-", "--emit", "opt"), 1),
    (("compile", "-", "--emit", "ast"), 1),
]


def corpus() -> list[str]:
    paths = [*(ROOT / "examples").rglob("*.qrl"), *(ROOT / "stdlib").glob("*.qrl"),
             *(ROOT / "tests").rglob("*.qrl")]  # fmt: skip
    texts = [p.read_text(encoding="utf-8", errors="replace") for p in sorted(paths)]
    return [t for t in texts if 20 < len(t) < 20_000]


def programs(count: int, seed: int) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """Commands and what they read."""
    rng = random.Random(seed)
    seeds = corpus()
    mutations, weights = zip(*MUTATIONS, strict=True)
    commands, shares = zip(*COMMANDS, strict=True)
    for _ in range(count):
        text = rng.choice(seeds)
        for mutate in rng.choices(mutations, weights, k=rng.choice([1, 1, 1, 2, 3])):
            text = mutate(text, rng, seeds)[: 2**20 + 2**16] or "\n"
        data = text.encode("utf-8", errors="replace")
        if rng.random() < 0.1:
            data = random_bytes(data, rng)
        yield rng.choices(commands, shares)[0], data


def trouble(command: tuple[str, ...], data: bytes) -> str:
    """What is wrong with how the command took this; empty if nothing is."""
    from cli_tools import qrlc

    start = time.process_time()
    done = qrlc(*command, stdin=data)
    seconds = time.process_time() - start
    if done.code not in (0, 1):
        return f"exit code {done.code}: {done.err[:600]}"
    if seconds > SECONDS:
        return f"{seconds:.1f} s"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (BYTES, BYTES))
    except (ImportError, ValueError, OSError):
        print("no limit on memory here", file=sys.stderr)
    bad, slowest, start = Counter[str](), 0.0, time.perf_counter()
    for number, (command, data) in enumerate(programs(options.count, options.seed)):
        began = time.process_time()
        found = trouble(command, data)
        slowest = max(slowest, time.process_time() - began)
        if found:
            bad[found.split("\n")[0][:60]] += 1
            with tempfile.NamedTemporaryFile(suffix=".qrl", delete=False) as file:
                file.write(data)
            print(f"{number}: qrlc {' '.join(command)} < {file.name}: {found}")
        elif number % 1000 == 999:
            print(f"{number + 1} programs, {time.perf_counter() - start:.0f} s, "
                  f"slowest {slowest:.2f} s", flush=True)  # fmt: skip
    print(f"{options.count} programs, {bad.total()} troubles, slowest {slowest:.2f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

"""Whatever the text is: an answer, soon, and no exception."""

from __future__ import annotations

import random
import re
import sys
import time
from pathlib import Path

import pytest

from qrlang.source import Source
from qrlang.syntax import ast
from qrlang.syntax.dump import dump
from qrlang.syntax.parser import MAX_BYTES, MAX_DEPTH, MAX_ERRORS, parse

HERE = Path(__file__).parent

HUGE = {
    "parentheses": "const x = " + "(" * 50_000,
    "nested models": "model A { " * 10_000,
    "long sum": "const x = " + "a + " * 50_000 + "a",
    "lists": "const x = " + "[" * 5000 + "]" * 5000,
    "signs": "const x = " + "-" * 5000 + "1",
    "calls": "const x = f" + "(1)" * 5000,
    "types": "model A { input x: " + "seq[" * 5000 + "real" + "]" * 5000 + "}",
    "ifs": "model A {" + "if a {" * 3000 + "}" * 3001,
    "else ifs": "model A { if a {}" + " else if a {}" * 3000 + "}",
    "name": "x" * 1_000_000,
    "number": "const x = " + "9" * 1_000_000,
    "quotes": '"' * 100_000,
    "single quotes": "'\n" * 20_000,
    "braces": "}" * 100_000,
    "comments": "/*" * 100_000,
    "semicolons": ";" * 50_000,
    "hashes": "# \n" * 20_000,
    "path": "use a" + ".b" * 50_000,
    "blank": " \n" * 500_000,
    "unknown": "é a " * 20_000,
    "broken lines": "model A { let = }\n" * 5000,
    "less minus": "const a = " + "1 <-1 " * 5000,
    "errors": "const = 1\n" * 20_000,
}


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE.keys())
def test_huge(text: str) -> None:
    start = time.perf_counter()
    file, diagnostics = parse(Source("x", text))
    assert time.perf_counter() - start < 10
    assert len(diagnostics) <= MAX_ERRORS + 1
    assert _depth_of(file) <= MAX_DEPTH + 20
    file == file  # noqa: B015 (comparing walks the whole tree)


def _depth_of(file: ast.File) -> int:
    lines = dump(file).split("\n")
    return max((len(line) - len(line.lstrip())) // 2 for line in lines) // 2


@pytest.mark.parametrize(
    "text",
    [
        "model M { h(q[0]",
        "model M { h(q[0])",
        "model M { for i in 0:",
        "model M { let z = if b {",
        "model M { input x: seq[real,",
        "use .\nmodel M {}",
        "model M(n=",
        "model M { read",
    ],
)
def test_slips_at_the_end_of_the_file(text: str) -> None:
    assert parse(Source("x", text))[1]


@pytest.mark.parametrize(
    "text", ["\x00", "\ud800", "\ufeff", "\ufeffconst a = 1", "a\rb", "\x0c", '"\ud800"', "\u2028"]
)
def test_odd_characters(text: str) -> None:
    parse(Source("x", text))


def test_byte_order_mark_is_no_error() -> None:
    assert parse(Source("x", "\ufeffconst a = 1\r\n"))[1] == ()


def test_too_large() -> None:
    file, diagnostics = parse(Source("x", " " * (MAX_BYTES + 1)))
    assert file.items == ()
    assert [d.code for d in diagnostics] == ["E0117"]


def test_too_many_errors() -> None:
    _, diagnostics = parse(Source("x", "const = 1\n" * 200))
    assert len(diagnostics) == MAX_ERRORS + 1
    assert diagnostics[-1].code == "E0118"


def test_mutations_never_raise() -> None:
    rng = random.Random(7)
    seeds = [p.read_text(encoding="utf-8") for p in sorted((HERE / "good").glob("*.qrl"))]
    words = [*re.findall(r"\w+|\S", "\n".join(seeds)), "\x00", "\ud800", '"', "'", "/*", "*/", ";"]
    for _ in range(400):
        text = rng.choice(seeds)
        for _ in range(rng.choice([1, 1, 2, 5, 30])):
            text = _mutate(rng, text, words)
        start = time.perf_counter()
        file, diagnostics = parse(Source("x", text))
        assert time.perf_counter() - start < 2
        assert isinstance(file, ast.File)
        for d in diagnostics:
            assert d.message
            assert 0 <= d.span.start <= d.span.end <= len(text)
            if d.fix:
                assert 0 <= d.fix.span.start <= d.fix.span.end <= len(text)


def _mutate(rng: random.Random, text: str, words: list[str]) -> str:
    a = rng.randrange(len(text) + 1)
    b = min(len(text), a + rng.choice([1, 1, 3, 10, 100]))
    match rng.randrange(5):
        case 0:
            return text[:a] + text[b:]
        case 1:
            return text[:b] + text[a:]
        case 2:
            return f"{text[:a]} {rng.choice(words)} {text[a:]}"
        case 3:
            part = text[a:b].split(" ")
            rng.shuffle(part)
            return text[:a] + " ".join(part) + text[b:]
    noise = "".join(chr(rng.choice([rng.randrange(128), rng.randrange(0x3000)])) for _ in range(3))
    return text[:a] + noise + text[a:]


def test_speed() -> None:
    """10,000 lines well under two seconds, on a busy machine too."""
    unit = (HERE / "good" / "qrnn.qrl").read_text(encoding="utf-8")
    text = unit * (10_000 // unit.count("\n") + 1)
    start = time.perf_counter()
    _, diagnostics = parse(Source("x", text))
    assert not diagnostics
    assert time.perf_counter() - start < 2


def test_parsing_does_not_need_lark() -> None:
    import subprocess

    code = (
        "import sys\n"
        "from qrlang.source import Source\n"
        "from qrlang.syntax.parser import parse\n"
        "parse(Source('x', 'const a = 1'))\n"
        "assert 'lark' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    root = str(HERE.parent.parent)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, timeout=60)


@pytest.mark.parametrize("sign", [" + ", " - ", " * ", " / ", " div ", " and ", " or "])
def test_a_long_chain_is_not_nested(sign: str) -> None:
    text = "const x = " + sign.join(["v"] * 5000)
    file, diagnostics = parse(Source("x", text))
    assert not diagnostics
    shown = dump(file)
    assert len(shown) < 400_000 and shown.count("Name id='v'") == 5000
    again = parse(Source("y", text.replace("v", "(v)").replace("di(v)", "div")))[0]
    assert again.items == file.items
    assert parse(Source("z", text + sign + "b"))[0].items != file.items


def test_brackets_in_a_chain_are_nested() -> None:
    text = "const x = " + "1 + (" * 200 + "1" + ")" * 200
    assert [d.code for d in parse(Source("x", text))[1]] == ["E0115"]

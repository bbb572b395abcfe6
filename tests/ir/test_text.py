"""The text form: pages of it that read back, and what is said of text that is not IR."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from qrlang.ir.text import IRSyntaxError, parse_program, print_op, print_program
from qrlang.ir.verify import verify

PAGES = sorted(Path(__file__).parent.glob("*.ir"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_print_as_they_stand(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    program = parse_program(text)
    printed = print_program(program)
    if os.environ.get("QRL_UPDATE"):
        page.write_text(printed, encoding="utf-8")
    assert printed == text
    assert parse_program(printed) == program
    assert verify(program) == []


def test_comments_and_layout_do_not_matter() -> None:
    a = parse_program("program p { // one\n qubits q[2]at q0 alloc q0,q1 unitary{cx q0,q1 h q0}}")
    b = parse_program(
        "program p {\n qubits q[2] at q0\n alloc q0, q1\n unitary { cx q0, q1  h q0 }\n}"
    )
    assert a == b


@pytest.mark.parametrize(
    "text,message",
    [
        ("", "1:1: expected 'program', found 'end of text'"),
        ("program p {", "1:12: expected '}', found 'end of text'"),
        ("program p { } x", "1:15: expected the end of the text, found 'x'"),
        ("program p {\n  ?\n}", "2:3: unexpected character '?'"),
        ("program 3 { }", "1:9: expected a name, found '3'"),
        ('program "\\q" { }', "1:9: not a string: Invalid \\escape: line 1 column 2 (char 1)"),
        ("program p { input %x.0 }", "1:24: expected ':', found '}'"),
        ("program p { input x : real }", "1:19: expected a value such as %x.1, found 'x'"),
        ("program p { input %x.0 : number }", "1:26: no type is called 'number'"),
        ("program p { input %x.0 : token }", "1:32: token takes one size"),
        ("program p { input %x.0 : seq[seq[real]] }", "1:30: a sequence of sequences is not a type"),
        ("program p { input %x.0 : real[1.5] }", "1:31: expected a whole number, found 1.5"),
        ("program p { input %0 : real input %0 : real }", "1:40: %0 is defined twice"),
        ("program p { %1 : real = sin(%0) }", "1:29: %0 is not defined before this"),
        ("program p { %1 : real = sin(%1) }", "1:29: %1 is not defined before this"),
        ("program p { return %1 }", "1:20: %1 is not defined before this"),
        ("program p { %1 : real = sinc(%1) }", "1:25: no op with a result is called 'sinc'"),
        ("program p { %1 : real = reset q0 }", "1:25: no op with a result is called 'reset'"),
        ("program p { measure q0 }", "1:13: no op without a result is called 'measure'"),
        ("program p { reset 0 }", "1:19: expected a qubit such as q0"),
        ("program p { unitary { foo q0 } }", "1:23: no gate is called 'foo'"),
        ("program p { unitary { rx(1.0 + 2.0) q0 } }", "1:35: this angle has a second constant"),
        ("program p { unitary { permutation { q0 = q1 } } }",
         "1:47: a permutation reads a qubit that it does not write"),
        ("program p { %1 : real[1] = expect [] weak }", "1:43: expected a number, found '}'"),
        ("program p { %1 : real[1] = expect [2.0*W0] }",
         "1:40: expected a Pauli string such as Z0 or X1 Y2, or I"),
        ("program p { input %x.0 : real %1 : real[9] = gather %x.0[0..99999999999] }",
         "1:72: this range is too long"),
        (f"program p {{ qubits q[{'9' * 5000}] at q0 }}", "1:22: this number is too long"),
        ("program p { input %x.0 : real loop l carry(%1 : real = %x.0) { } }",
         "1:66: 1 values in carry(…), 0 in next(…)"),
        ("program p { input %b.0 : bit " + "if %b.0 { " * 101, "1:1040: more than 100 blocks inside each other"),
    ],
)  # fmt: skip
def test_what_is_not_ir(text: str, message: str) -> None:
    with pytest.raises(IRSyntaxError) as caught:
        parse_program(text)
    assert str(caught.value) == message
    assert message == f"{caught.value.line}:{caught.value.column}: {caught.value.message}"


def test_damaged_pages_raise_nothing_else() -> None:
    rng = random.Random(0)
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        words = text.split(" ")
        for _ in range(150):
            match rng.randrange(3):
                case 0:
                    damaged = text[: rng.randrange(len(text))]
                case 1:
                    at = rng.randrange(len(text))
                    damaged = text[:at] + chr(rng.randrange(32, 127)) + text[at + 1 :]
                case _:
                    mixed = list(words)
                    a, b = rng.randrange(len(words)), rng.randrange(len(words))
                    mixed[a], mixed[b] = mixed[b], mixed[a]
                    damaged = " ".join(mixed)
            try:
                verify(parse_program(damaged))
            except IRSyntaxError:
                continue


def test_one_line_of_an_op() -> None:
    program = parse_program((Path(__file__).parent / "dynamic.ir").read_text(encoding="utf-8"))
    loop = program.body[-1]
    assert print_op(loop) == "loop step { … }"
    (read,) = [op for op in loop.body if type(op).__name__ == "Postselect"]  # type: ignore[attr-defined]
    assert print_op(read) == "%ok.7 : real = postselect q1 = 0, q2 = 1"
    fused = parse_program((Path(__file__).parent / "fused.ir").read_text(encoding="utf-8"))
    assert print_op(fused.body[1]).endswith("ctrl(q0, q1, q2) x q3  … }")
    long = parse_program(f"program p {{ %0 : real[99] = const [{'1.0, ' * 98}1.0] }}")
    assert len(print_op(long.body[0])) == 200

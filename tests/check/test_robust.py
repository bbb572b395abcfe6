"""No text makes the checker fail: whatever it is given, it answers with diagnostics."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest
from catalogue_tools import examples

from qrlang.check import Library, check_file
from qrlang.diagnostics import catalogue, has_errors
from qrlang.ir.verify import verify
from qrlang.source import Source
from qrlang.syntax import ast
from qrlang.syntax.parser import parse

TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
ODD = ["0", "-1", "10**9", "1e300", "99999", '"x"', "true", "pi", "[]", "[1, 2]", "read", "mixed",
       "I", "haar", "1/0", "...", "step", "sin", "mlp"]  # fmt: skip


def corpus(root: Path) -> list[str]:
    texts = [p.read_text(encoding="utf-8") for p in sorted((root / "examples").glob("*/*.qrl"))]
    texts += [t for code in catalogue.codes() for t in examples(code).values()]
    return texts + [
        p.read_text(encoding="utf-8") for p in sorted((root / "tests/ui").glob("*.qrl"))
    ]


def mutated(rng: random.Random, text: str, words: list[str]) -> str:
    tokens = TOKEN.findall(text)
    for _ in range(rng.choice([1, 1, 2, 3, 6])):
        at = rng.randrange(len(tokens))
        match rng.randrange(6):
            case 0:
                tokens[at] = rng.choice(words)
            case 1:
                del tokens[at]
            case 2:
                tokens.insert(at, rng.choice(words))
            case 3:
                tokens[at] = rng.choice(ODD)
            case 4:
                other = rng.randrange(len(tokens))
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case 5:
                lines = "".join(tokens).split("\n")
                lines.insert(rng.randrange(len(lines)), rng.choice(lines))
                tokens = TOKEN.findall("\n".join(lines))
        if not tokens:
            return ""
    return "".join(tokens)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_programs_get_an_answer(root: Path, seed: int) -> None:
    rng = random.Random(seed)
    texts = corpus(root)
    words = [w for t in texts for w in TOKEN.findall(t) if not w.isspace()]
    for _ in range(120):
        text = mutated(rng, rng.choice(texts), words)
        file, syntax = parse(Source("case.qrl", text))
        started = time.monotonic()
        checked, found = check_file(file, Library())
        assert time.monotonic() - started < 10, text
        for model in checked.models.values():
            assert not verify(model.program), text
        if not has_errors([*syntax, *found]):
            names = {item.name for item in file.items if isinstance(item, ast.Model)}
            assert set(checked.models) == names, text


DOUBLING = {
    "ansätze": ("ansatz a{i} on q: qubit[n] {{ apply a{j} to q  apply a{j} to q }}\n",
                "ansatz a30 on q: qubit[n] {{ }}\n",
                "model M() { qubits q[3]  apply a0 to q  return read Z(q[0]) }"),
    "readouts": ("readout a{i} on q: qubit[n] = [a{j}(q), a{j}(q)]\n",
                 "readout a30 on q: qubit[n] = [Z(q[0])]\n",
                 "model M() { qubits q[3]  return read a0(q) }"),
    "circuits": ("circuit a{i}()(v: real[2]) {{ return a{j}(a{j}(v)) }}\n",
                 "circuit a30()(v: real[2]) {{ return v }}\n",
                 "model M() { input x: real[2]  return a0(x) }"),
    "constants": ("const a{i} = a{j} * a{j}\n", "const a30 = 12\n", ""),
    "lists": ("const a{i} = a{j} + a{j}\n", "const a30 = [1, 2]\n", ""),
}  # fmt: skip
BOMBS = {
    "loops": "model M() { qubits q[2]  for i in 0..10**9 { h q[0] }  return read X(q[0]) }",
    "nested": "model M() { qubits q[2]  for i in 0..999 { for j in 0..999 { for k in 0..999 "
    "{ } } }  return read X(q[0]) }",
    "qubits": "model M() { qubits q[10**6]  return read X(q[0]) }",
    "tensor": "model M() { param w: real[10**5, 10**5]  return w }",
    "carry": "model M() { input x: seq[real]  carry w: real[10**9] = 0  step t in x { w <- w + t }"
    "  return w }",
    "list": "const a = [i for i in 0..10**12]",
    "integer": "const a = 10 ** 10 ** 10",
    "power": "model M() { qubits q[2]  pow(10**9) @ h q[0]  return read X(q[0]) }",
    "controls": "model M() { qubits q[2]  ctrl(10**9) @ x q[0], q[1]  return read X(q[0]) }",
    "trotter": "hamiltonian f on q: qubit[n] = X(q[0])\n"
    "model M() { qubits q[2]  apply f for 1 trotter 10**9 to q  return read X(q[0]) }",
    "observable": "model M() { qubits q[12]  return read prod([X(q[i]) + Y(q[i]) + Z(q[i]) "
    "for i in 0..12]) }",
    "steps": "model M() { input x: seq[real]  qubits q[1]  step t in x then 10**9 { rx(t) q[0] }"
    "  return read Z(q[0]) }",
    "probabilities": "model M() { qubits q[40]  return read probs(q) }",
} | {
    name: "".join(line.format(i=i, j=i + 1) for i in range(30)) + end.format() + model
    for name, (line, end, model) in DOUBLING.items()
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_with_the_limit(name: str) -> None:
    file, syntax = parse(Source("bomb.qrl", BOMBS[name]))
    assert not syntax, syntax
    started = time.monotonic()
    _, found = check_file(file)
    assert time.monotonic() - started < 10
    errors = [d for d in found if d.severity == "error"]
    assert errors
    assert any(re.search(r"\d", d.message) for d in errors)
    assert {d.code for d in errors} <= {"E0307", "E0311", "E0509"}, [d.message for d in errors]


def test_after_fifty_messages_enough_has_been_said() -> None:
    lines = "".join(f"  let x{i} = a + b\n" for i in range(80))
    text = f"model M() {{\n  input a: real[2]\n  input b: real[3]\n{lines}  return a\n}}\n"
    file, _ = parse(Source("many.qrl", text))
    checked, found = check_file(file)
    assert len(found) == 50 and not checked.models
    file, _ = parse(Source("many.qrl", "ansatz z on q: qubit[n] {\n" + "  h q[9]\n" * 80 + "}\n"))
    assert len(check_file(file)[1]) == 50

"""Programs become IR that its verifier accepts, and that says what the text says."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from check_programs import PROGRAMS

from qrlang.check import (
    CheckedModel,
    Library,
    check_file,
)
from qrlang.check.definitions import program_named
from qrlang.check.written.angle_count import angle_count_formula
from qrlang.diagnostics import has_errors
from qrlang.ir import program as ir
from qrlang.ir.types import Type
from qrlang.ir.verify import verify
from qrlang.ir.walk import walk
from qrlang.source import Source
from qrlang.syntax import ast
from qrlang.syntax.parser import parse


def checked(text: str, name: str = "case.qrl", **settings: object) -> CheckedModel:
    file, syntax = parse(Source(name, text))
    assert not syntax, syntax
    found, diagnostics = check_file(file, settings=settings)  # type: ignore[arg-type]
    assert not has_errors(diagnostics), [d.message for d in diagnostics]
    (model,) = found.models.values()
    assert not verify(model.program)
    return model


def ops(model: CheckedModel, kind: type) -> list:  # type: ignore[type-arg]
    return [op for op in walk(model.program.body) if isinstance(op, kind)]


def gates(model: CheckedModel) -> list[ir.Gate]:
    return [g for u in ops(model, ir.Unitary) for g in u.elements]


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_whole_language_elaborates(name: str) -> None:
    model = checked(PROGRAMS[name])
    assert model.program.outputs


def test_consecutive_gates_are_one_segment() -> None:
    model = checked(
        "model M() { input v: real[2]  qubits q[2]  for i in 0..2 { ry(atan(v[i])) q[i] }"
        "  cx q[0], q[1]  return read Z(q[1]) }"
    )
    assert len(ops(model, ir.Unitary)) == 1
    assert len(ops(model, ir.Pointwise)) == 1  # one atan for the whole vector


def test_angles_are_affine_in_their_sources() -> None:
    model = checked(
        "model M() { input v: real[3]  qubits q[1]  rx(2 * v[1] - v[0] / 4 + pi) q[0]"
        "  return read Z(q[0]) }"
    )
    (gate,) = gates(model)
    assert gate.angles[0].constant == math.pi
    terms = {t.index: t.coefficient for t in gate.angles[0].terms}
    assert terms == {1: 2.0, 0: -0.25}
    assert not ops(model, ir.Pointwise)


def test_a_controller_takes_its_width_from_the_ansatz() -> None:
    model = checked(PROGRAMS["recurrent with controller"])
    shapes = {w.name: w.shape for w in model.program.weights}
    assert shapes["steer.w1"] == (16, 5 + 1 + 3)
    assert shapes["steer.w3"] == (2 * 3 * 3, 8)
    assert shapes["head.w"] == (10, 4 * 3)


def test_defaults_are_those_that_train() -> None:
    model = checked(PROGRAMS["recurrent with controller"])
    initial = {w.name: w.initial for w in model.program.weights}
    assert initial["steer.w1"] == ir.Initial("uniform", (-1 / 3, 1 / 3))
    assert initial["steer.w3"].args[1] == pytest.approx(0.1 / math.sqrt(8))
    assert initial["steer.b3"] == ir.Initial("uniform", (-1.0, 1.0))  # by `init`
    assert initial["head.w"] == ir.Initial("constant", (0.0,))
    plain = checked(PROGRAMS["encoder, decoder, attention"])
    bias = next(w for w in plain.program.weights if w.name == "encoder.steer.b2")
    assert bias.initial == ir.Initial("uniform", (-math.pi, math.pi))


def test_a_head_on_readouts_alone_has_a_gain() -> None:
    gains = {op.weight: op.gain for op in ops(checked(PROGRAMS["one moment, no step"]), ir.Linear)}
    assert gains == {"head.w": 16.0}
    mixed = checked(
        "model M() { input x: real[1]  qubits q[1]  layer head = linear(2)  rx(x[0]) q[0]"
        "  return head(read Z(q[0]), x) }"
    )
    assert [op.gain for op in ops(mixed, ir.Linear)] == [1.0]
    emitted = checked(
        "model M { input x: seq[real[1]]  target y: seq[real[2]]"
        "  recurrent f over x { qubits q[1]  step v { rx(v[0]) q[0]  emit z = read [Z(q[0])] } }"
        "  recurrent b over reversed(x) { qubits q[1]"
        "    step v { ry(v[0]) q[0]  emit z = read [Z(q[0])] } }"
        "  recurrent tag over f.z, reversed(b.z) {"
        "    layer head = linear(2)  step a, b { emit head(a, b) } } }"
    )
    assert [op.gain for op in ops(emitted, ir.Linear)] == [16.0]


def test_calls_of_a_circuit_share_weights_and_have_their_own_qubits() -> None:
    model = checked(PROGRAMS["circuits as layers"])
    names = [w.name for w in model.program.weights]
    assert "f.first.scale.w" in names and "g.second.scale.b" in names
    assert all(not w.trained for w in model.program.weights if w.name.startswith("g."))
    spaces = [r.space for r in model.program.registers]
    assert len(set(spaces)) == len(spaces) == 7


def test_moved_qubits_stay_the_same_qubits() -> None:
    model = checked(PROGRAMS["encoder, decoder, attention"])
    assert len(ops(model, ir.Alloc)) == 1
    assert [r.name for r in model.program.registers] == ["encoder.memory"]


def test_registers_that_never_meet_have_spaces_of_their_own() -> None:
    model = checked(
        "model M() { input x: real  qubits a[2], b[2]  rx(x) a[0]  cx a[0], a[1]  rx(x) b[0]"
        "  cx b[0], b[1]  return read [Z(a[1]), Z(b[1])] }"
    )
    assert len({r.space for r in model.program.registers}) == 2


def test_over_last_reads_at_the_end_of_every_step() -> None:
    model = checked(PROGRAMS["recurrent with controller"])
    (loop,) = ops(model, ir.Loop)
    assert loop.extra == 3 and loop.flag is not None
    assert isinstance(loop.body[-1], ir.Expect)
    (last,) = ops(model, ir.Last)
    assert last.count == 4 and last.x == loop.emits[-1].out


def test_modifiers_change_every_gate_of_an_ansatz() -> None:
    model = checked(
        "ansatz b on q: qubit[n] with a: angle { ry(a) q[0]  s q[0]  cx q[0], q[1] }\n"
        "model M() { input a: angle  qubits c[1], q[2]  h c"
        "  apply ctrl @ inv @ b(a) to c, q  return read Z(q[1]) }"
    )
    shown = [(g.name, g.controls, g.qubits) for g in gates(model)[1:]]
    assert shown == [("x", (0, 1), (2,)), ("sdg", (0,), (1,)), ("ry", (0,), (1,))]
    assert gates(model)[3].angles[0].terms[0].coefficient == -1.0


def test_settings_and_stand_ins() -> None:
    text = (
        "model M(vocab: int, n: int = 2) { input w: token[vocab]  layer e = embedding(n)"
        "  return e(w) }"
    )
    model = checked(text)
    assert model.assumed == ("vocab",)
    model = checked(text, vocab=50, n=3)
    assert model.program.settings == (("vocab", 50), ("n", 3)) and not model.assumed


def test_train_blocks_bind_parameters_and_become_plain_data() -> None:
    text = """
model M(vocab: int, d: int = 8) {
  input  words: seq[token[vocab]]
  target next:  seq[token[vocab]]
  layer embed = embedding(d)
  layer head = linear(vocab)
  step w in words { emit head(embed(w)) }
}
train M(d: 4) {
  data      = ptb(vocabulary: 500)
  loss      = cross_entropy(smoothing: 0.1)
  optimizer = adam(lr: 1e-3)
  schedule  = cosine
  batch     = 2 * 16
}
"""
    file, _ = parse(Source("t.qrl", text))
    found, diagnostics = check_file(file)
    assert not diagnostics
    assert found.models["M"].program.settings == (("vocab", 500), ("d", 4))
    (block,) = found.trains
    assert block.model == "M" and block.args == {"d": 4}
    assert block.settings == {
        "data": ("ptb", {"vocabulary": 500}),
        "loss": ("cross_entropy", {"smoothing": 0.1}),
        "optimizer": ("adam", {"lr": 1e-3}),
        "schedule": ("cosine", {}),
        "batch": 32,
    }


def test_unknown_settings_from_outside_are_told() -> None:
    file, _ = parse(Source("t.qrl", "model M(depth: int = 2) { input x: real[depth]  return x }"))
    _, diagnostics = check_file(file, settings={"dept": 3})
    assert [d.code for d in diagnostics] == ["E0908"]
    _, diagnostics = check_file(file, settings={"depth": "deep"})
    assert [d.code for d in diagnostics] == ["E0312"]


def test_places_lead_back_to_the_users_line() -> None:
    text = (
        "use std.ansatz.su2_ring\nmodel M() {\n  input w: real[6]\n  qubits q[2]\n"
        "  apply su2_ring(w) to q\n  return read X(q[0])\n}\n"
    )
    model = checked(text)
    place = gates(model)[0].place
    span = model.places.outermost(place)
    assert span is not None and span.source.line_column(span.start)[0] == 5
    assert model.places.gates[place].span.source.name.startswith("std/")
    assert set(model.places.names) >= {"w", "q"}


def test_facts_tell_what_was_inferred() -> None:
    model = checked(PROGRAMS["recurrent with controller"])
    facts = {f.name: f.text for f in model.facts}
    assert facts["steer"] == "controller: 9 -> 16 -> 8 -> 18, tanh"
    assert facts["head"] == "layer: 12 -> 10, gain 16"
    assert facts["z"] == "readout: real[3]"


# --- definitions on their own ---


def test_a_definition_is_a_program_of_its_own() -> None:
    text = (
        "ansatz a(layers: int = 1) on q: qubit[n] with t: angle[layers, n] {\n"
        "  for l in 0..layers { for i in 0..n { ry(t[l, i]) q[i] } }\n}\n"
        "readout z on q: qubit[n] = [Z(q[i]) for i in 0..n]\n"
    )
    file, _ = parse(Source("t.qrl", text))
    program, diagnostics = program_named(Library(), file, "a", {"n": 5, "layers": 3})
    assert program is not None and not diagnostics and not verify(program)
    assert program.inputs[0].type == Type("real", (3, 5))
    assert sum(len(u.elements) for u in walk(program.body) if isinstance(u, ir.Unitary)) == 15
    program, _ = program_named(Library(), file, "z", {"n": 3})
    assert program is not None and not verify(program)
    assert program.outputs[0].value.type == Type("real", (3,))


@pytest.mark.parametrize(
    ("shape", "formula"),
    [
        ("angle[layers, n, 3]", "3*n*layers"),
        ("angle[n]", "n"),
        ("angle", "1"),
        ("angle[layers, n - 1, 2]", "2*layers*(n - 1)"),
        ("angle[n * (n - 1) div 2]", "n * (n - 1) div 2"),
    ],
)
def test_angle_counts_are_shown_as_formulas(shape: str, formula: str) -> None:
    text = f"ansatz a(layers: int = 1) on q: qubit[n] with t: {shape} {{ }}"
    file, _ = parse(Source("t.qrl", text))
    item = file.items[0]
    assert isinstance(item, ast.Ansatz)
    assert angle_count_formula(item) == formula


# --- other files ---


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".qrl")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


USER = "model M() { input a: angle  qubits q[2]  apply block(a) to q  return read Z(q[0]) }\n"
BLOCK = "ansatz block on q: qubit[n] with a: angle { ry(a) q[0] }\n"


def codes(path: Path) -> list[str]:
    file, _ = parse(Source(str(path), path.read_text(encoding="utf-8")))
    return [d.code for d in check_file(file, Library())[1]]


def test_a_neighbour_is_used_by_file_or_by_folder(tmp_path: Path) -> None:
    write(tmp_path, one=BLOCK, parts__block=BLOCK, main="use .one.block\n" + USER)
    assert codes(tmp_path / "main.qrl") == []
    write(tmp_path, main="use .parts.block\n" + USER)
    assert codes(tmp_path / "main.qrl") == []


def test_a_neighbour_may_be_as_large_as_any_file(tmp_path: Path) -> None:
    write(tmp_path, one=BLOCK + " " * 5_000_000, main="use .one.block\n" + USER)
    assert codes(tmp_path / "main.qrl") == []
    write(tmp_path, one=BLOCK + " " * 8 * 2**20)
    assert codes(tmp_path / "main.qrl") == ["E0307"]


def test_files_in_a_circle_are_told(tmp_path: Path) -> None:
    write(tmp_path, main="use .other.block\n" + USER, other="use .main.M\n" + BLOCK)
    assert codes(tmp_path / "main.qrl") == ["E0206"]


def test_links_out_of_the_project_are_refused(tmp_path: Path) -> None:
    outside, project = tmp_path / "outside", tmp_path / "project"
    write(outside, secret=BLOCK)
    write(project, main="use .secret.block\n" + USER)
    (project / "secret.qrl").symlink_to(outside / "secret.qrl")
    assert codes(project / "main.qrl") == ["E0207"]
    (project / "secret.qrl").unlink()
    (project / "deep").symlink_to(outside)
    write(project, main="use .deep.secret.block\n" + USER)
    assert codes(project / "main.qrl") == ["E0207"]


def test_a_text_that_is_not_a_file_has_no_neighbours() -> None:
    file, _ = parse(Source("<stdin>", "use .one.block\n" + USER))
    assert [d.code for d in check_file(file)[1]] == ["E0204"]


def test_mistakes_of_a_neighbour_are_shown_in_it(tmp_path: Path) -> None:
    write(tmp_path, one="ansatz block on q: qubit[n] { h q[\n", main="use .one.block\n" + USER)
    path = tmp_path / "main.qrl"
    file, _ = parse(Source(str(path), path.read_text(encoding="utf-8")))
    _, found = check_file(file)
    assert found and all(d.span.source.name.endswith("one.qrl") for d in found)


def test_a_list_of_qubits_is_a_register() -> None:
    head = (
        "readout xz on q: qubit[n] = [X(q[i]) * Z(q[(i + 1) % n]) for i in 0..n]"
        "  ansatz fan on c: qubit[k], t: qubit[1] with w: angle[k]"
        "  { for i in 0..k { cry(w[i]) c[i], t[0] } }"
        "  model M { input v: real[2]  qubits a[2], b[2]"
    )
    lists = checked(
        f"{head} let c = [b[1], a[0]]  h c  apply fan(v) to c, a[1]  let m = measure c"
        "  postselect c == [0, 1]  return concat(read xz(c), read probs(c), m) }"
    )
    plain = checked(
        f"{head} h b[1]  h a[0]  cry(v[0]) b[1], a[1]  cry(v[1]) a[0], a[1]"
        "  let m0 = measure b[1]  let m1 = measure a[0]"
        "  postselect b[1] == 0  postselect a[0] == 1"
        "  return concat(read [X(b[1]) * Z(a[0]), X(a[0]) * Z(b[1])], read probs(b[1], a[0]), m0, m1)"
        " }"
    )
    unitaries = [ops(m, ir.Unitary) for m in (lists, plain)]
    gates = [[(g.name, g.all_qubits) for u in us for g in u.elements] for us in unitaries]
    assert gates[0] == gates[1]
    reads = [[o.observables for o in ops(m, ir.Expect)] for m in (lists, plain)]
    assert reads[0] == reads[1]
    assert [o.qubits for m in (lists, plain) for o in ops(m, ir.Probabilities)] == [(3, 0)] * 2
    assert [o.qubits for o in ops(lists, ir.Measure)] == [(3, 0)]
    assert [(o.qubits, o.bits) for o in ops(lists, ir.Postselect)] == [((3, 0), (0, 1))]

"""Which lines may stand where: in a model, a recurrent block, a step, a circuit, an ansatz."""

from __future__ import annotations

from qrlang.syntax import ast

_WORDS: dict[type, str] = {
    ast.Let: "let",
    ast.Update: "<-",
    ast.Emit: "emit",
    ast.Return: "return",
    ast.Gate: "a gate",
    ast.Apply: "apply",
    ast.Prepare: "prepare",
    ast.Reset: "reset",
    ast.Discard: "measure",
    ast.Postselect: "postselect",
    ast.If: "if",
    ast.For: "for",
    ast.Require: "require",
    ast.Input: "input",
    ast.Target: "target",
    ast.Qubits: "qubits",
    ast.Readout: "readout",
    ast.AnsatzBinding: "ansatz",
    ast.Layer: "layer",
    ast.Param: "param",
    ast.Carry: "carry",
    ast.Const: "const",
    ast.Init: "init",
    ast.Step: "step",
    ast.Recurrent: "recurrent",
}

_ACTIONS = {
    ast.Let,
    ast.Gate,
    ast.Apply,
    ast.Reset,
    ast.For,
    ast.If,
    ast.Require,
    ast.Const,
    ast.Prepare,
    ast.Postselect,
    ast.Discard,
    ast.AnsatzBinding,
}
_CIRCUIT = _ACTIONS | {ast.Qubits, ast.Readout, ast.Layer, ast.Param, ast.Init, ast.Return}
_NESTED = _ACTIONS | {ast.Update, ast.Emit, ast.Readout}
_ALLOWED: dict[str, set[type]] = {
    "an ansatz": _ACTIONS,
    "a circuit": _CIRCUIT,
    "a model": _CIRCUIT | {ast.Input, ast.Target, ast.Carry, ast.Step, ast.Recurrent},
    "a recurrent block": (_CIRCUIT | {ast.Carry, ast.Step}) - {ast.Return},
    "a step": _ACTIONS | {ast.Qubits, ast.Readout, ast.Update, ast.Emit},
}
_HELP: dict[type, str] = {
    ast.Emit: "`emit` belongs in a step; `return` hands out a value at the end",
    ast.Update: "a carry is updated in a step",
    ast.Return: "`return` is the last line of a model or a circuit; `emit` hands out a value at "
    "each step",
    ast.Layer: "declare it in the model, before the step",
    ast.Param: "declare it in the model or the circuit, before the step",
    ast.Carry: "declare it in the model or the recurrent block, before the step",
    ast.Input: "declare it in the model",
    ast.Target: "declare it in the model",
    ast.Qubits: "declare the register in the model, a recurrent block, a step or a circuit",
    ast.Step: "a model or a recurrent block has a step",
    ast.Recurrent: "a recurrent block stands in a model",
    ast.Init: "write it where the layer is declared",
    ast.Readout: "name it in the model; a definition of its own stands at the top of the file",
}


def misplaced(s: ast.Stmt, region: str, nested: bool) -> tuple[str, str] | None:
    """Why this line can't stand there, and where it can; None if it may. `nested`: in a `for` or
    an `if`."""
    allowed = type(s) in _ALLOWED[region]
    if allowed and (not nested or type(s) in _NESTED):
        return None
    word = _WORDS[type(s)]
    shown = word if word.startswith("a ") else f"`{word}`"
    where = "a `for` or an `if`" if nested and allowed else region
    return f"{shown} can't stand in {where}", _HELP.get(type(s), "")

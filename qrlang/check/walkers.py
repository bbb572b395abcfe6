"""The language in one table: how each kind of expression and statement is elaborated.

Expressions hold calls, a call inlines a body of statements, statements hold expressions: here, and
nowhere else, that circle is tied. Each walker hands what lies inside back to the elaborator.
"""

from __future__ import annotations

from collections.abc import Mapping

from qrlang.check import (
    apply,
    calls,
    carries,
    expressions,
    gates,
    readouts,
    registers,
    statements,
    steps,
    tensors,
)
from qrlang.check.builtins import BUILTINS
from qrlang.check.core import Elaborator, Language
from qrlang.check.limits import Budget
from qrlang.check.report import Reporter
from qrlang.check.scope import Here
from qrlang.syntax import ast

LANGUAGE = Language(
    expressions={
        ast.Name: expressions.name,
        ast.Int: expressions.literal,
        ast.Real: expressions.literal,
        ast.Bool: expressions.literal,
        ast.Str: expressions.literal,
        ast.Unary: expressions.unary,
        ast.Binary: expressions.binary_chain,
        ast.Range: expressions.range_,
        ast.Index: expressions.index,
        ast.Field: expressions.field,
        ast.List: expressions.list_,
        ast.Comprehension: expressions.comprehension,
        ast.Call: calls.call,
        ast.Read: readouts.read,
        ast.Measure: registers.measure,
    },
    statements={
        ast.Let: statements.let,
        ast.Const: statements.const,
        ast.AnsatzBinding: statements.ansatz_binding,
        ast.If: statements.if_,
        ast.For: statements.for_,
        ast.Require: statements.require,
        ast.Readout: statements.readout,
        ast.Layer: statements.layer,
        ast.Input: tensors.port,
        ast.Target: tensors.port,
        ast.Param: tensors.param,
        ast.Init: tensors.init,
        ast.Qubits: registers.qubits,
        ast.Prepare: registers.prepare,
        ast.Reset: registers.reset,
        ast.Postselect: registers.postselect,
        ast.Discard: registers.discard,
        ast.Gate: gates.gate,
        ast.Apply: apply.apply,
        ast.Carry: carries.carry,
        ast.Update: carries.update,
        ast.Step: steps.step,
        ast.Recurrent: steps.recurrent,
        ast.Emit: steps.emit,
        ast.Return: steps.return_,
    },
    call=calls.call,
    builtins=BUILTINS,
)


def elaborator(
    report: Reporter,
    here: Here,
    hints: Mapping[str, tuple[int, ...]] | None = None,
    budget: Budget | None = None,
) -> Elaborator:
    return Elaborator(LANGUAGE, report, here, hints or {}, budget)

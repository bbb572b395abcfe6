"""The language in one table: how each kind of expression and statement is elaborated.

Expressions hold calls, a call inlines a body of statements, statements hold expressions: here, and
nowhere else, that circle is tied. Each walker hands what lies inside back to the elaborator.
"""

from __future__ import annotations

from collections.abc import Mapping

from qrlang.check import calls
from qrlang.check.classical import indexing, lists, lookup, operators, whole
from qrlang.check.core.elaborator import Elaborator, Language
from qrlang.check.core.limits import Budget
from qrlang.check.core.scope import Here
from qrlang.check.functions.builtins import BUILTINS
from qrlang.check.quantum import apply, gates, measuring, readouts, registers
from qrlang.check.report import Reporter
from qrlang.check.statements import bindings, carries, control, results, steps, tensors
from qrlang.syntax import ast

LANGUAGE = Language(
    expressions={
        ast.Name: lookup.name,
        ast.Int: operators.literal,
        ast.Real: operators.literal,
        ast.Bool: operators.literal,
        ast.Str: operators.literal,
        ast.Unary: operators.unary,
        ast.Binary: operators.binary_chain,
        ast.Range: whole.range_,
        ast.Index: indexing.index,
        ast.Field: lookup.field,
        ast.List: lists.list_,
        ast.Comprehension: lists.comprehension,
        ast.Call: calls.call,
        ast.Read: readouts.read,
        ast.Measure: measuring.measure,
    },
    statements={
        ast.Let: bindings.let,
        ast.Const: bindings.const,
        ast.AnsatzBinding: bindings.ansatz_binding,
        ast.If: control.if_,
        ast.For: control.for_,
        ast.Require: control.require,
        ast.Readout: bindings.readout,
        ast.Layer: bindings.layer,
        ast.Input: tensors.port,
        ast.Target: tensors.port,
        ast.Param: tensors.param,
        ast.Init: tensors.init,
        ast.Qubits: registers.qubits,
        ast.Prepare: measuring.prepare,
        ast.Reset: measuring.reset,
        ast.Postselect: measuring.postselect,
        ast.Discard: measuring.discard,
        ast.Gate: gates.gate,
        ast.Apply: apply.apply,
        ast.Carry: carries.carry,
        ast.Update: carries.update,
        ast.Step: steps.step,
        ast.Recurrent: steps.recurrent,
        ast.Emit: results.emit,
        ast.Return: results.return_,
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

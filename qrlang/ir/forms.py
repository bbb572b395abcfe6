"""The written form of every op that has no body: keyword, then its parts in order.

An op that has a result is written `%out : type = keyword …`. `Unitary`, `If`, `Loop` and
`Pointwise` (written `tanh(%x)`) have forms of their own in the printer and the parser.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qrlang.ir import codecs as c
from qrlang.ir import program as ir

_REQUIRED = object()


@dataclass(frozen=True, slots=True)
class Part:
    """`lead` is the keyword or comma before it. A part that has its default is not written."""

    fields: tuple[str, ...]
    codec: c.Codec
    lead: str = ""
    default: Any = _REQUIRED

    def get(self, op: ir.Op) -> Any:
        found = tuple(getattr(op, name) for name in self.fields)
        return found if len(found) > 1 else found[0]

    def set(self, kwargs: dict[str, Any], value: Any) -> None:
        for name, one in zip(self.fields, value if len(self.fields) > 1 else (value,), strict=True):
            kwargs[name] = one

    @property
    def optional(self) -> bool:
        return self.default is not _REQUIRED


@dataclass(frozen=True, slots=True)
class Form:
    op: type[ir.Op]
    keyword: str
    parts: tuple[Part, ...]

    @property
    def has_result(self) -> bool:
        return "out" in self.op.__dataclass_fields__


def _form(op: type[ir.Op], keyword: str, *parts: Part) -> Form:
    return Form(op, keyword, parts)


def _part(field: str, codec: c.Codec, lead: str = "", default: Any = _REQUIRED) -> Part:
    return Part(tuple(field.split()), codec, lead, default)


_FORMS = (
    _form(ir.Const, "const", _part("data", c.FLOATS)),
    _form(ir.UseWeight, "weight", _part("weight", c.WEIGHT)),
    _form(
        ir.Linear,
        "linear",
        _part("x", c.VALUE),
        _part("weight", c.WEIGHT, ","),
        _part("bias", c.WEIGHT, ",", None),
        _part("gain", c.FLOAT, "gain", 1.0),
    ),
    _form(ir.Embed, "embed", _part("token", c.VALUE), _part("weight", c.WEIGHT, ",")),
    _form(ir.Concat, "concat", _part("args", c.ARGUMENTS)),
    _form(ir.Gather, "gather", _part("x", c.VALUE), _part("indices", c.INDICES)),
    _form(ir.Reshape, "reshape", _part("x", c.VALUE)),
    _form(
        ir.Reduce,
        "reduce",
        _part("fn", c.NAME),
        _part("x", c.VALUE),
        _part("last_axis", c.FLAG, "last_axis", False),
    ),
    _form(ir.Matmul, "matmul", _part("a", c.VALUE), _part("b", c.VALUE, ",")),
    _form(ir.Softmax, "softmax", _part("x", c.VALUE)),
    _form(
        ir.LayerNorm,
        "layer_norm",
        _part("x", c.VALUE),
        _part("weight", c.WEIGHT, ","),
        _part("bias", c.WEIGHT, ","),
    ),
    _form(ir.Dropout, "dropout", _part("x", c.VALUE), _part("p", c.FLOAT, ",")),
    _form(ir.CallExtern, "call", _part("layer", c.NAME), _part("args", c.ARGUMENTS)),
    _form(ir.Shift, "shift", _part("x", c.VALUE), _part("start", c.INT, "start", 0)),
    _form(ir.Reverse, "reverse", _part("x", c.VALUE)),
    _form(ir.Last, "last", _part("x", c.VALUE), _part("count", c.INT, ",")),
    _form(ir.Pool, "pool", _part("fn", c.NAME), _part("x", c.VALUE)),
    _form(ir.SoftmaxOver, "softmax_over", _part("x", c.VALUE)),
    _form(ir.WeightedSum, "weighted_sum", _part("weights", c.VALUE), _part("values", c.VALUE, ",")),
    _form(
        ir.Attend,
        "attend",
        _part("score", c.NAME),
        _part("query", c.VALUE),
        _part("keys", c.VALUE, "over"),
        _part("values", c.VALUE, ","),
        _part("weights", c.WEIGHTS, "with", ()),
    ),
    _form(ir.Alloc, "alloc", _part("qubits", c.QUBITS), _part("mixed", c.FLAG, "mixed", False)),
    _form(ir.Free, "free", _part("qubits", c.QUBITS)),
    _form(
        ir.Evolve,
        "evolve",
        _part("terms", c.HAMILTONIAN),
        _part("time", c.ANGLE, "time"),
        _part("trotter", c.INT, "trotter", 0),
    ),
    _form(
        ir.ApplyMatrix,
        "apply",
        _part("matrix", c.VALUE),
        _part("adjoint", c.FLAG, "adjoint", False),
        _part("qubits", c.QUBITS, "to"),
        _part("controls zeros", c.CONTROLS, "ctrl", ((), ())),
    ),
    _form(ir.Prepare, "prepare", _part("amplitudes", c.VALUE), _part("qubits", c.QUBITS, "on")),
    _form(
        ir.Expect,
        "expect",
        _part("observables", c.OBSERVABLES),
        _part("shots", c.INT, "shots", 0),
        _part("weak", c.FLOAT, "weak", 0.0),
        _part("settings", c.SETTINGS, "settings", ()),
    ),
    _form(ir.Probabilities, "probs", _part("qubits", c.QUBITS), _part("shots", c.INT, "shots", 0)),
    _form(ir.Measure, "measure", _part("qubits", c.QUBITS)),
    _form(ir.Reset, "reset", _part("qubits", c.QUBITS)),
    _form(ir.Postselect, "postselect", _part("qubits bits", c.BITS)),
    _form(
        ir.Channel,
        "channel",
        _part("name", c.NAME),
        _part("args", c.ANGLES),
        _part("qubits", c.QUBITS),
    ),
)

BY_OP: dict[type[ir.Op], Form] = {form.op: form for form in _FORMS}
BY_KEYWORD: dict[str, Form] = {form.keyword: form for form in _FORMS}

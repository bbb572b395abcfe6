"""Which names a line declares."""

from __future__ import annotations

from qrlang.syntax import ast

REGISTER = ("qubit", "qreg", "qbit")  # what declares registers elsewhere


def declared_names(s: ast.Stmt) -> list[str]:
    """Names that a statement gives to something (or would, if it stood where it may)."""
    if isinstance(s, ast.Qubits):
        return [r.name for r in s.registers]
    if isinstance(s, ast.Gate):  # `qubit q[2]`
        bases = (o.base if isinstance(o, ast.Index) else o for o in s.operands)
        return [b.id for b in bases if isinstance(b, ast.Name)] if s.name in REGISTER else []
    named = (ast.Let, ast.Const, ast.Readout, ast.AnsatzBinding, ast.Layer, ast.Param, ast.Carry,
             ast.Input, ast.Target, ast.Recurrent)  # fmt: skip
    return [s.name] if isinstance(s, named) else []

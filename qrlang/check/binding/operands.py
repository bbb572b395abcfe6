"""The registers that an ansatz, a readout or a Hamiltonian acts on."""

from __future__ import annotations

from qrlang.check.binding.parameters import declared_note
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.scope import Scope
from qrlang.check.core.values import Definition, Poison, Qubits, together
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import plural
from qrlang.syntax import ast


def bind_registers(
    e: Elaborator, d: Definition, scope: Scope, operands: list[Qubits], node: ast.Node
) -> bool:
    """Registers of a definition stand for what is given; widths are bound or must agree."""
    assert isinstance(d.item, (ast.Ansatz, ast.ReadoutDef, ast.Hamiltonian))
    registers = d.item.registers
    if len(registers) == 1 and len(operands) > 1:
        one = together(tuple(operands))
        assert isinstance(one, Qubits)
        operands = [one]
    if len(operands) != len(registers):
        names = ", ".join(r.name for r in registers)
        # One register for several of a qubit each: by their indices, `q[0], q[1]`.
        enough = len(operands) == 1 and len(operands[0].qubits) == len(registers)
        e.error(
            "E0503",
            node,
            f"`{d.item.name}` acts on {plural(len(registers), 'register')} ({names}), "
            f"found {len(operands)}",
            notes=[declared_note(d)],
            help="give each its own, with commas between them: `to q[0], q[1]`" if enough else "",
        )
        return False
    every = [q for o in operands for q in o.qubits]
    if len(set(every)) != len(every):
        twice = next(q for q in every if every.count(q) > 1)
        e.error(
            "E0501",
            node,
            f"`{d.item.name}` is given {e.qubits.called(twice)} twice",
            help="a qubit can't be copied: give each once",
        )
        return False
    for r, given in zip(registers, operands, strict=True):
        width = len(given.qubits)
        size: object = 1
        if isinstance(r.size, ast.Name) and r.size.id not in scope.names:
            scope.names[r.size.id] = width
            size = width
        elif r.size is not None:
            with e.names(scope):
                size = e.eval(r.size)
            if isinstance(size, Poison):
                return False
        if size != width:
            shown = r.size.span.text if r.size is not None else "1"
            e.error(
                "E0503",
                node,
                f"`{r.name}` of `{d.item.name}` has {size} qubits here"
                + (f" ({shown})" if shown != str(size) else "")
                + f", found {width}",
                notes=[Note(f"`{r.name}` is declared here", r.span)],
            )
            return False
        scope.names[r.name] = given
    return True

"""Registers declared, and moved into others."""

from __future__ import annotations

from qrlang.check.classical.whole import integer
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.limits import MAX_QUBITS, Rejected
from qrlang.check.core.scope import Body
from qrlang.check.core.values import POISON, Mixed, Poison, Qubits, Register, describe, release
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import plural
from qrlang.ir import program as ir
from qrlang.syntax import ast


def qubits(e: Elaborator, node: ast.Qubits) -> None:
    sizes: list[int | None] = []
    for r in node.registers:
        size = integer(e, r.size, f"the size of `{r.name}`")
        if size is not None and size < 1:
            e.error("E0311", r.size, f"a register needs at least one qubit, found {size}")
            size = None
        sizes.append(size)
    source: object = None
    if node.initial is not None:
        source = e.eval(node.initial)
        if len(node.registers) > 1 and not isinstance(source, Poison):
            names = [r.span.text for r in node.registers]
            source = e.error(
                "E0503",
                node.initial,
                f"{len(names)} registers, but one beginning",
                help=f"split the line: `qubits {', '.join(names[:-1])}`, then "
                f"`qubits {names[-1]} = {node.initial.span.text}`",
            )
    if any(s is None for s in sizes) or isinstance(source, Poison):
        for r in node.registers:
            e.scope.names[r.name] = POISON
        return
    widths = [s for s in sizes if s is not None]
    if isinstance(source, Qubits):
        _move(e, node, source, widths)
        return
    if source is not None and not isinstance(source, Mixed):
        e.error(
            "E0208",
            node.initial or node,
            f"qubits start from another register or `mixed`, found {describe(source)}",
            help="for amplitudes use `prepare v on q`",
        )
    for r, size in zip(node.registers, widths, strict=True):
        if len(e.qubits) + size > MAX_QUBITS:
            e.error("E0307", r, f"the program has more than {MAX_QUBITS} qubits")
            raise Rejected
        name = e.here.register_prefix + r.name
        register = e.qubits.add(name, size, r.span, apart=e.here.region == "circuit")
        e.draft.names[name] = r.span
        all_qubits = tuple(range(register.start, register.start + size))
        e.builder.quantum(ir.Alloc(all_qubits, isinstance(source, Mixed), e.place_of(r)))
        if source is None:
            e.qubits.fresh.update(all_qubits)
        _end_with(e.here.body, register, all_qubits)
        e.scope.names[r.name] = Qubits(all_qubits, (register,))
        e.fact(r.span, r.name, f"qubit[{size}]")


def _end_with(body: Body, register: Register, qubits: tuple[int, ...]) -> None:
    """These qubits, of a new register, are freed where this body ends; a model's never are."""
    if body.freeing is not None:
        body.freeing.qubits.extend(qubits)
        register.free = body.freeing


def _move(e: Elaborator, node: ast.Qubits, source: Qubits, widths: list[int]) -> None:
    assert node.initial is not None
    for r in node.registers:
        e.scope.names[r.name] = POISON
    if e.here.region == "step":
        e.error(
            "E0505",
            node,
            "qubits can't be moved inside a step: it runs many times",
            help="move them before the step",
        )
        return
    whole = sum(r.size for r in source.registers)
    if len(source.qubits) != whole:
        e.error("E0505", node.initial, "only whole registers can be moved")
        return
    if sum(widths) != whole:
        e.error(
            "E0505",
            node,
            f"{plural(whole, 'qubit')} can't be moved into {sum(widths)}",
            label=f"{sum(widths)} declared",
            notes=[
                Note(f"`{r.name}` is declared here with {plural(r.size, 'qubit')}", r.span)
                for r in source.registers
            ],
        )
        return
    for moved_register in source.registers:
        release(moved_register)
        moved_register.ended = f"they moved to `{node.registers[0].name}`"
        moved_register.ended_at = node.span
    at = 0
    for r, size in zip(node.registers, widths, strict=True):
        moved = source.qubits[at : at + size]
        at += size
        register = Register(e.here.register_prefix + r.name, moved[0], size, r.span)
        _end_with(e.here.body, register, moved)
        e.scope.names[r.name] = Qubits(moved, (register,))
        e.fact(r.span, r.name, f"qubit[{size}], moved")

"""Warnings that only the analysis of a whole model can give, with their places in its text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from qrlang.analysis.findings import Finding, findings
from qrlang.analysis.flow import Flow, is_quantum, used, weights_of
from qrlang.analysis.purity import per_shot
from qrlang.check.model import CheckedModel
from qrlang.diagnostics import Diagnostic, Note
from qrlang.diagnostics.words import plural
from qrlang.ir.program import (
    CallExtern,
    Channel,
    Diagonal,
    Evolve,
    Expect,
    Gate,
    If,
    Probabilities,
    Program,
    Run,
    Unitary,
    Value,
)
from qrlang.ir.walk import used_values, uses, walk
from qrlang.source import Span

QUANTUM = (Unitary, Evolve, Channel)


def warnings_of(model: CheckedModel) -> tuple[Diagnostic, ...]:
    """Each thing once, however often its line was unrolled, in the order of places."""
    found = findings(model.program)
    out = [
        *_dead_angles(model, [f for f in found if f.kind == "dead-angle"]),
        *_unused(model, found),
    ]
    for finding in found:
        match finding.kind:
            case "product" if not _fed_forward(model.program):
                out.append(_product(model, finding))
            case "constant-readout":
                out.append(_constant(model, finding))
            case "memory-unread":
                unread = _unread(model, finding)
                out += [unread] if unread is not None else []
            case "memory-unwritten":
                out.append(_unwritten(model, finding))
    if model.assumed:
        settings = dict(model.program.settings)
        shown = ", ".join(f"{p} = {settings[p]}" for p in model.assumed if p in settings)
        many = len(model.assumed) > 1
        said = "stand-ins, since nobody says them" if many else "a stand-in, since nobody says it"
        note = Note(f"with {shown}: {said}")
        out = [replace(d, notes=(*d.notes, note)) for d in out]
    return tuple(sorted(out, key=lambda d: (d.span.source.name, d.span.start, d.code)))


def _places(model: CheckedModel, place: int) -> tuple[Span, Span]:
    """The user's own line, and the innermost line (in a library, perhaps)."""
    outer = model.places.outermost(place) or model.declaration.span
    inner = model.places.gates[place].span if 0 <= place < len(model.places.gates) else outer
    return outer, inner


# --- angles ---


def _dead_angles(model: CheckedModel, found: list[Finding]) -> Iterator[Diagnostic]:
    """One for each line of the user's; it says so if only some of its angles are meant. Lines that
    call the same circuit, with the same angles dead, are one warning."""
    if not found:
        return
    made: dict[tuple[str, str, tuple[Span, ...]], list[Diagnostic]] = {}
    all_of = Counter(_places(model, place)[0] for place in _turned(model.program))
    groups: dict[Span, list[Finding]] = {}
    for finding in found:
        groups.setdefault(_places(model, finding.places[0])[0], []).append(finding)
    for outer, group in groups.items():
        every, ahead = all_of[outer], group[0].detail["why"] == "ahead"
        if len(group) < every:
            said = f"{len(group)} of the {every} angles that this line makes cannot"
        else:
            said = "the angles that this line makes cannot" if every > 1 else "this angle cannot"
        reason = (
            "nothing that is read later notices them"
            if ahead
            else "on the state at this point they are only phases"
        )
        help = (
            "leave them out, or let a gate follow that does not commute with them, or read in "
            "another basis"
            if ahead
            else "leave them out, or put something before them that makes a superposition"
        )
        if every == 1:
            reason, help = reason.replace("them", "it"), help.replace("them", "it")
            reason = reason.replace("they are only phases", "it is only a phase")
        inner = dict.fromkeys(_places(model, f.places[0])[1] for f in group)
        spans = tuple(span for span in inner if span != outer)
        names = ", ".join(dict.fromkeys(_gate(f) for f in group))
        warning = Diagnostic(
            "W0801",
            f"{said} change any readout: {reason}",
            outer,
            label=f"the gradient of {'these' if every > 1 else 'this'} {names} is always zero",
            help=help,
            notes=tuple(Note("made here", span) for span in spans[:3]),
        )
        made.setdefault((warning.message, names, spans or (outer,)), []).append(warning)
    for first, *more in made.values():
        same = [Note("the same here", d.span) for d in more[:3]]
        if len(more) > 3:
            same.append(Note(f"and at {plural(len(more) - 3, 'more line')}"))
        yield replace(first, notes=(*first.notes, *same))


def _gate(finding: Finding) -> str:
    gate = finding.detail["gate"]
    return "evolution" if gate == "evolve" else f"`{gate}`"


def _turned(program: Program) -> Iterator[int]:
    """The place of every angle that is not constant."""
    for op in walk(program.body):
        if isinstance(op, Evolve):
            yield from (op.place for angle, word in op.terms if word and angle.terms)
        elif isinstance(op, Unitary):
            for element in op.elements:
                match element:
                    case Gate():
                        yield from (element.place for a in element.angles if a.terms)
                    case Run():
                        yield from (g.place for g in element.gates for a in g.angles if a.terms)
                    case Diagonal():
                        yield from (-1 for _, a in element.terms if a.terms)


# --- structure ---


def _named(model: CheckedModel, *names: str) -> Span:
    for name in names:
        if name in model.places.names:
            return model.places.names[name]
    return model.declaration.span


def _fed_forward(program: Program) -> bool:
    """A measured bit steers gates: it ties qubits together that no gate joins."""
    tied = per_shot(program)
    return any(
        isinstance(op, If) or (isinstance(op, QUANTUM) and any(v.id in tied for v in uses(op)))
        for op in walk(program.body)
    )


def _fed_back(program: Program) -> bool:
    """Something that is read steers gates."""
    flow = Flow(program)
    steering = [v for op in walk(program.body) if is_quantum(op) for v in used(op)]
    return any(isinstance(op, (Expect, Probabilities)) for op in flow.behind(steering))


def _product(model: CheckedModel, finding: Finding) -> Diagnostic:
    parts = finding.detail["parts"]
    shown = "; ".join(_qubits(part) for part in parts[:4]) + ("; …" if len(parts) > 4 else "")
    return Diagnostic(
        "W0802",
        "these qubits can never be entangled: "
        + (
            f"only numbers pass between these {len(parts)} parts"
            if _fed_back(model.program)
            else f"the model is a product of {len(parts)} smaller ones"
        ),
        _named(model, *finding.names),
        label=shown,
        help="let a gate on two qubits join them, or make them models of their own",
    )


def _qubits(part: tuple[tuple[str, int], ...]) -> str:
    names: dict[str, list[int]] = {}
    for name, i in part:
        names.setdefault(name, []).append(i)
    return ", ".join(f"{name}[{', '.join(map(str, ii))}]" for name, ii in names.items())


def _constant(model: CheckedModel, finding: Finding) -> Diagnostic:
    indices, constants = finding.detail["indices"], finding.detail["constants"]
    values = sorted({f"{c:g}" for c in constants})
    size = _size(model.program, finding.values[0])
    if size == len(indices):
        said = "this readout is constant" if size == 1 else "these readouts are constant"
    else:
        which = ", ".join(map(str, indices[:6])) + (", …" if len(indices) > 6 else "")
        many = len(indices) > 1
        said = f"{len(indices)} of these {size} readouts {'are' if many else 'is'} constant "
        said += f"({'those' if many else 'the one'} at {which})"
    return Diagnostic(
        "W0803",
        f"{said}: always {' or '.join(values[:3])}",
        model.places.values.get(finding.values[0], model.declaration.span),
        label="does not depend on any input or angle",
        help="read another observable, or read after gates that change it",
    )


def _size(program: Program, value: int) -> int:
    sizes = (op.out.type.count for op in walk(program.body)
             if isinstance(op, Expect) and op.out.id == value)  # fmt: skip
    return next(sizes, 0)


def _unused(model: CheckedModel, found: list[Finding]) -> Iterator[Diagnostic]:
    """Once for a layer, however many tensors it has; not if a dead angle is the reason."""
    dead = {f.places[0] for f in found if f.kind == "dead-angle"}
    explained = _behind(model.program, dead) if dead else set()
    groups: dict[Span, str] = {}
    for finding in found:
        if finding.kind in ("unused-weight", "unused-layer"):
            [name] = finding.names
            layer = name.rsplit(".", 1)[0]
            if name not in explained:
                shown = name if name in model.places.names else layer
                groups.setdefault(_named(model, name, layer), shown)
    for span, name in groups.items():
        yield Diagnostic(
            "W0804",
            f"`{name}` reaches no output",
            span,
            label="nothing that leaves the model depends on it",
            help="use it on the way to the output, or remove it",
        )


def _behind(program: Program, places: set[int]) -> set[str]:
    """Names of the weights and extern layers that angles at these places are made of."""
    steering: list[Value] = []
    for op in walk(program.body):
        if isinstance(op, Evolve) and op.place in places:
            steering += uses(op)
        if isinstance(op, Unitary):
            for element in op.elements:
                gates = element.gates if isinstance(element, Run) else (element,)
                for gate in gates:
                    if isinstance(gate, Gate) and gate.place in places:
                        steering += [t.value for a in gate.angles for t in a.terms]
    names: set[str] = set()
    for op in Flow(program).behind(steering):
        names.update(weights_of(op))
        if isinstance(op, CallExtern):
            names.add(op.layer)
    return names


# --- memory ---


def _unread(model: CheckedModel, finding: Finding) -> Diagnostic | None:
    loop, *what = finding.names
    read = used_values(model.program.body)
    # A carry that no line reads has been told of where names are looked at.
    idle = [
        name
        for name, value in zip(finding.detail["carries"], finding.values, strict=True)
        if value not in read
    ]
    what = [name for name in what if name not in idle]
    if not what:
        return None
    named, lost = ", ".join(f"`{n}`" for n in what), f"keep{'s' if len(what) == 1 else ''}"
    return Diagnostic(
        "W0805",
        f"the memory of `{loop}` is never read: nothing from an earlier step reaches an output"
        if finding.detail["whole"]
        else f"what {named} {lost} from step to step reaches no output",
        _named(model, *(f"{loop}.{n}" for n in what), *what, loop),
        label=f"what {named} {lost} from step to step is lost"
        if finding.detail["whole"]
        else "no readout and no output depends on it",
        help="let a later step or the output depend on it"
        if finding.detail["carries"]
        else "read it in the step, or after the last one; or declare the qubits in the step, where "
        "they are fresh at every moment",
    )


def _unwritten(model: CheckedModel, finding: Finding) -> Diagnostic:
    loop, *what = finding.names
    named = ", ".join(f"`{n}`" for n in what)
    return Diagnostic(
        "W0806",
        f"the input of `{loop}` never gets into its memory",
        _named(model, *(f"{loop}.{n}" for n in what), *what, loop),
        label=f"nothing that depends on the input changes {named}",
        help="let an angle (or the next value of a carry) depend on the input",
    )

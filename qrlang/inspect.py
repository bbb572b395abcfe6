"""What a model is made of and what it costs, as plain data; and that data as a page.

Counts come from `qrlang.analysis.cost` and hold for what the target `qasm` writes: Qiskit, reading
it, counts the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any

from qrlang.analysis.cost import Cost, Gates, cost
from qrlang.analysis.purity import purity
from qrlang.analysis.real import real_spaces
from qrlang.analysis.settings import measurement_settings
from qrlang.check.model import CheckedModel
from qrlang.circuits import Circuit, circuits
from qrlang.ir.program import (
    Expect,
    Initial,
    Linear,
    Measure,
    Op,
    Probabilities,
    Program,
    Register,
    Weight,
)
from qrlang.ir.walk import walk
from qrlang.names import assumption, moved_registers, plural, quantity
from qrlang.syntax import ast

Data = dict[str, Any]

BATCH, STEPS = 64, 32  # of the training step that is reckoned, unless said otherwise


def inspect(
    model: CheckedModel,
    optimised: Program,
    simulated: Program,
    batch: int = BATCH,
    steps: int = STEPS,
    gpu: int = 0,
) -> Data:
    """Everything that `qrlc inspect` says, ready for JSON. `optimised` holds plain gates, as a
    device gets them; `simulated` is what a simulator runs. `gpu`: a compute capability, 90 for
    9.0, of which is said how it would run the model."""
    program = model.program
    before, after = cost(program), cost(optimised)
    return {
        "model": program.name,
        "doc": getattr(model.declaration, "doc", ""),
        "settings": dict(program.settings),
        "assumed": list(model.assumed),
        "inputs": {v.name: str(v.type) for v in program.inputs},
        "targets": {v.name: str(v.type) for v in program.targets},
        "outputs": {o.name or "result": str(o.value.type) for o in program.outputs},
        "parameters": {
            "classical": before.classical,
            "quantum": before.quantum,
            "frozen": before.frozen,
            "weights": [_weight(w, _given(model.declaration)) for w in program.weights],
        },
        "circuits": _circuits(model, optimised, before, after),
        "state": _state(model, simulated),
        "training_step": {**_training(cost(simulated), batch, steps), "road": _road(program)},
        **({"gpu": _gpu(program, batch, gpu)} if gpu else {}),
        "defaults": _defaults(model),
    }


def _gpu(program: Program, batch: int, arch: int) -> Data:
    """How its kernels would lie on a GPU."""
    from qrlang.backends.torch import head
    from qrlang.backends.torch.fit import with_targets
    from qrlang.engine.cuda.report import report
    from qrlang.engine.nodes import Refusal
    from qrlang.engine.plan import plan

    rest, _ = head.split(with_targets(program))
    found = plan(rest)
    if isinstance(found, Refusal):
        return {"arch": arch, "why_not": found.reason}
    return report(found, batch, arch)


def _road(program: Program) -> Data:
    """How the module of the torch target runs it."""
    from qrlang.backends.torch.roads import choose_road

    name, why = choose_road(program)
    return {"name": name, "why": why}


# --- weights and defaults ---


def _weight(weight: Weight, given: set[str]) -> Data:
    return {
        "name": weight.name,
        "shape": list(weight.shape),
        "count": prod(weight.shape),
        "trained": weight.trained,
        "initial": initial(weight.initial),
        "initial_is_default": weight.name not in given,
    }


def initial(how: Initial) -> str:
    if not how.args:
        return how.kind
    if len(how.args) > 4:
        return f"{how.kind}({len(how.args)} numbers)"
    return f"{how.kind}({', '.join(map(_number, how.args))})"


def _number(x: float) -> str:
    sign = "-" if x < 0 else ""
    return f"{sign}π" if abs(abs(x) - math.pi) < 1e-12 else f"{x:.4g}"


def _given(declaration: ast.Item) -> set[str]:
    """Names of the weights whose initial values the file states."""
    found: set[str] = set()
    for block, stmt in _statements(declaration):
        if isinstance(stmt, ast.Init):
            found.add(block + _path(stmt.target))
        if isinstance(stmt, ast.Param) and stmt.initial is not None:
            found.add(block + stmt.name)
    return found


def _statements(declaration: ast.Item) -> Iterable[tuple[str, ast.Stmt]]:
    """Each with what the names in it begin with: `enc.` in `recurrent enc`."""
    for stmt in declaration.body if isinstance(declaration, ast.Model) else ():
        yield "", stmt
        if isinstance(stmt, ast.Recurrent):
            yield from ((f"{stmt.name}.", inner) for inner in stmt.body)


def _path(target: ast.Expr) -> str:
    if isinstance(target, ast.Field):
        return f"{_path(target.base)}.{target.name}"
    return target.id if isinstance(target, ast.Name) else ""


def _defaults(model: CheckedModel) -> list[str]:
    """What the file leaves open, and what was taken."""
    said: list[str] = []
    stated = {
        block + stmt.name
        for block, stmt in _statements(model.declaration)
        if isinstance(stmt, ast.Layer)
        and isinstance(stmt.value, ast.Call)
        and any(arg.name == "gain" for arg in stmt.value.args)
    }
    for op in walk(model.program.body):
        if isinstance(op, Linear) and op.gain != 1:
            layer = op.weight.rsplit(".", 1)[0]
            line = f"{layer} has gain {op.gain:g}, since it sees nothing but readouts"
            if layer not in stated and line not in said:
                said.append(line)
    given = _given(model.declaration)
    open_ = [w.name for w in model.program.weights if w.trained and w.name not in given]
    if open_ and len(open_) == sum(w.trained for w in model.program.weights):
        said.append("all initial values, as listed above")
    elif open_:
        said.append(f"the initial values of {', '.join(open_[:4])}"
                    + (f" and {len(open_) - 4} more" if len(open_) > 4 else ""))  # fmt: skip
    return said


# --- circuits ---


def _circuits(model: CheckedModel, optimised: Program, before: Cost, after: Cost) -> list[Data]:
    program = model.program
    moved = moved_registers(model.declaration)
    late = {c.name: c for c in circuits(optimised)}
    return [
        {
            "name": c.name or program.name,
            "recurrence": c.loop.name if c.loop else None,
            "called": c.fresh and c.loop is not None,
            "registers": {r.name: r.size for r in c.registers},
            "qubits": len(c.qubits),
            "before": _gates(before.circuits[c.name]),
            "after": _gates(after.circuits[c.name]) if c.name in late else _gates(Gates()),
            "readouts": [_readout(op, c) for op in walk(c.ops) if isinstance(op, _READS)],
        }
        for c in (circuit.renamed(moved) for circuit in circuits(program))
    ]


_READS = (Expect, Probabilities, Measure)


def _gates(gates: Gates) -> Data:
    return {
        "gates": gates.total,
        "by_name": dict(sorted(gates.counts.items(), key=lambda kv: (-kv[1], kv[0]))),
        "two_qubit": gates.two_qubit,
        "depth": gates.depth,
        "angles": gates.angles.total(),
        "angles_by_role": dict(gates.angles),
    }


def _readout(op: Op, circuit: Circuit) -> Data:
    names = qubit_names(circuit.registers)
    match op:
        case Expect():
            settings = [
                {names.get(q, f"q{q}"): letter for q, letter in s.basis}
                for s in measurement_settings(op)
            ]
            how = f"{op.shots} shots" if op.shots else f"weak {op.weak:g}" if op.weak else "exact"
            kind, values, name = "expectation", len(op.observables), op.out.name
        case Probabilities():
            settings = [{names.get(q, f"q{q}"): "Z" for q in op.qubits}]
            how = f"{op.shots} shots" if op.shots else "exact"
            kind, values, name = "distribution", 2 ** len(op.qubits), op.out.name
        case Measure():
            settings, how = [], "collapses"
            kind, values, name = "measurement", len(op.qubits), op.out.name
        case _:
            raise TypeError(type(op).__name__)
    return {"name": name, "kind": kind, "values": values, "how": how, "settings": settings}


def qubit_names(registers: Iterable[Register]) -> dict[int, str]:
    return {r.start + i: f"{r.name}[{i}]" for r in registers for i in range(r.size)}


# --- the state, and a training step ---


def _state(model: CheckedModel, program: Program) -> list[Data]:
    """One entry for each set of qubits that is simulated by itself."""
    from qrlang.features import found
    from qrlang.targets import span_of

    pure, real = purity(program), real_spaces(program)
    spaces: dict[int, dict[str, int]] = {}
    for r in program.registers:
        spaces.setdefault(r.space, {})[r.name] = r.size
    split = {r.name for r in program.registers} != {r.name for r in model.program.registers} or (
        len(spaces) > len({r.space for r in model.program.registers})
    )
    out = []
    for space, registers in spaces.items():
        causes = []
        for cause in pure.causes.get(space, ()):
            where = str(span_of(model, found(program, cause.op)))
            entry = {"what": _MIXES.get(cause.what, cause.what), "where": where}
            if entry not in causes:
                causes.append(entry)
        out.append(
            {
                "registers": registers,
                "qubits": sum(registers.values()),
                "pure": pure.pure(space),
                "mixed_by": causes,
                "real": space in real,
                "split": split,
            }
        )
    return out


_MIXES = {
    "end": "the end of entangled qubits",
    "mixed": "a mixed beginning",
    "weak": "a weak readout",
    "measure": "a measurement",
}


def _training(of: Cost, batch: int, steps: int) -> Data:
    t = of.training(batch, steps)
    return {
        "batch": batch,
        "steps": steps,
        "operations": t.operations,
        "quantum_operations": t.quantum_operations,
        "classical_operations": t.classical_operations,
        "bytes": t.bytes,
        "state_bytes": t.state_bytes,
        "value_bytes": t.value_bytes,
        "weight_bytes": t.weight_bytes,
    }


# --- as a page ---


def page(data: Mapping[str, Any]) -> str:
    """Dense, but every number with its name."""
    lines = _head(data)
    lines += _parameters(data["parameters"])
    for group in _alike(data["circuits"]):
        lines += _circuit(group[0], [c["name"] for c in group])
    lines += _states(data["state"])
    lines += _step(data["training_step"])
    if "gpu" in data:
        from qrlang.engine.cuda import report

        lines += report.page(data["gpu"], data["training_step"]["batch"])
    if data["defaults"]:
        lines += ["", "Defaults that applied"]
        lines += [f"  {line}" for line in data["defaults"]]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _head(data: Mapping[str, Any]) -> list[str]:
    settings = "  ".join(f"{k} = {v}" for k, v in data["settings"].items())
    lines = [data["model"] + (f"    {settings}" if settings else "")]
    lines += [f"  {assumption(name, data['settings'][name])}" for name in data["assumed"]]
    if data["doc"]:
        lines += [f"  {line}" for line in data["doc"].splitlines()]
    lines.append("")
    for word, key in (("in", "inputs"), ("target", "targets"), ("out", "outputs")):
        ports = "   ".join(f"{name}: {kind}" for name, kind in data[key].items())
        if ports:
            lines.append(f"  {word:<7}{ports}")
    return lines


def _parameters(data: Mapping[str, Any]) -> list[str]:
    trained = data["classical"] + data["quantum"]
    said = f"{trained:,} trained: {data['classical']:,} classical, {data['quantum']:,} quantum"
    frozen = f"; {data['frozen']:,} frozen" if data["frozen"] else ""
    lines = ["", f"Parameters  {said}{frozen}"]
    rows = [
        (w["name"], " × ".join(map(str, w["shape"])) or "1", f"{w['count']:,}",
         w["initial"] + ("" if w["trained"] else ", frozen"))
        for w in data["weights"]
    ]  # fmt: skip
    return lines + table(rows, right={2})


def _circuit(data: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    before, after = data["before"], data["after"]
    registers = ", ".join(f"{name}[{size}]" for name, size in data["registers"].items())
    if data["called"]:
        layers = "Layer " if len(names) == 1 else "Layers "
        what = f"{layers}{', '.join(names)}: {plural(data['qubits'], 'fresh qubit')} at every call"
    else:
        what = f"{_moment(data)}: {plural(data['qubits'], 'qubit')}, {registers}"
    lines = ["", what]
    rows = [("", "written", "after passes", "")]
    for word in ("gates", "two_qubit", "depth", "angles"):
        note = ""
        if word == "gates":
            note = ", ".join(f"{n:,} {name}" for name, n in list(after["by_name"].items())[:6])
            note += ", …" if len(after["by_name"]) > 6 else ""
        elif word == "angles":
            note = ", ".join(f"{n:,} {_ROLES[r]}" for r, n in after["angles_by_role"].items())
        rows.append((word.replace("_", "-"), f"{before[word]:,}", f"{after[word]:,}", note))
    if before["depth"] or after["depth"]:  # else it only reads
        lines += table(rows, right={1, 2})
    for r in dict.fromkeys(map(_reads, data["readouts"])):
        times = sum(_reads(other) == r for other in data["readouts"])
        lines.append(f"  {r}" + (f"; {times} times" if times > 1 else ""))
    return lines


def _moment(data: Mapping[str, Any]) -> str:
    name, loop = data["name"], data["recurrence"]
    if loop is None:
        return f"Circuit {name}"
    step = "Step" if loop == "step" else f"Step of {loop}"
    return step if name == loop else f"{step}, {name.removeprefix(loop + '.')}"


def _alike(circuits: Iterable[Data]) -> list[list[Data]]:
    """Layers that differ in nothing but their names, together."""
    groups: list[list[Data]] = []
    for c in circuits:
        for group in groups:
            if c["called"] and all(
                c[k] == group[0][k] for k in c if k not in ("name", "registers")
            ):
                group.append(c)
                break
        else:
            groups.append([c])
    return groups


_ROLES = {
    "layer": "from layers",
    "trained": "trained",
    "readout": "from readouts",
    "data": "from data",
    "frozen": "frozen",
    "constant": "constant",
}


def _reads(r: Mapping[str, Any]) -> str:
    text = f"reads {r['name'] or r['kind']}: {plural(r['values'], 'value')}"
    text += f" ({r['how']})"
    if r["kind"] == "measurement":
        return text
    count = len(r["settings"])
    text += f", {plural(count, 'setting')}"
    letters = ["".join(dict.fromkeys(s.values())) for s in r["settings"]]
    if count and all(len(x) == 1 for x in letters):
        text += f": all {', all '.join(letters)}"
    return text


def _states(data: Iterable[Mapping[str, Any]]) -> list[str]:
    lines = ["", "State"]
    for space in data:
        names = ", ".join(f"{name}[{size}]" for name, size in space["registers"].items())
        kind = "pure" if space["pure"] else "mixed"
        amplitudes = (2 if space["pure"] else 4) ** min(space["qubits"], 600)
        size = f"{amplitudes:,}" if amplitudes < 10**9 else f"{amplitudes:.1e}"
        text = f"  {names}: {kind}, {size} {'real' if space['real'] else 'complex'} numbers"
        lines.append(text)
        for cause in space["mixed_by"]:
            lines.append(f"    mixed by {cause['what']} at {cause['where']}")
    return lines if len(lines) > 2 else []


def _step(data: Mapping[str, Any]) -> list[str]:
    return [
        "",
        f"One training step  of {data['batch']} sequences of {data['steps']} steps, in single "
        "precision",
        *table(
            [
                ("operations", quantity(data["operations"], "", 1000),
                 f"{quantity(data['quantum_operations'], '', 1000)} on states, "
                 f"{quantity(data['classical_operations'], '', 1000)} elsewhere"),
                ("memory", quantity(data["bytes"], "B", 1024),
                 f"{quantity(data['state_bytes'], 'B', 1024)} states, "
                 f"{quantity(data['value_bytes'], 'B', 1024)} values, "
                 f"{quantity(data['weight_bytes'], 'B', 1024)} weights with their optimizer"),
            ],
            right={1},
        ),
        f"  torch takes the {data['road']['name']} road:",
        f"    {data['road']['why']}",
    ]  # fmt: skip


def table(rows: Sequence[tuple[str, ...]], right: set[int]) -> list[str]:
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  "
        + "   ".join(
            cell.rjust(w) if i in right else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]

"""What a model is made of and what it costs, as plain data.

Counts come from `qrlang.analysis.cost` and hold for what the target `qasm` writes: Qiskit, reading
it, counts the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

from qrlang.analysis.circuits import Circuit, circuits
from qrlang.analysis.cost import Cost, Gates, cost
from qrlang.analysis.purity import purity
from qrlang.analysis.real import real_spaces
from qrlang.analysis.settings import measurement_settings
from qrlang.check.model import CheckedModel
from qrlang.ir.program import (
    Expect,
    Linear,
    Measure,
    Op,
    Probabilities,
    Program,
    Weight,
)
from qrlang.ir.walk import walk
from qrlang.names import initial, moved_registers, qubit_names
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
    from qrlang.backends.torch.native import head
    from qrlang.backends.torch.native.fit import with_targets
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

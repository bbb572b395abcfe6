"""A `train` block against its model: columns of data, loss, what is frozen."""

from __future__ import annotations

from collections.abc import Mapping

from qrlang.check.core.elaborator import Elaborator
from qrlang.check.elaborate import Attempt
from qrlang.check.training.blocks import Block
from qrlang.check.training.data_sets import DATA_SETS, Column
from qrlang.check.training.lines import dotted
from qrlang.check.training.settings import metrics_of
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import did_you_mean
from qrlang.ir.program import Expect, Linear, Loop, Pointwise, Probabilities, Program, Softmax
from qrlang.ir.types import Type
from qrlang.ir.walk import defs, walk
from qrlang.source import Span
from qrlang.syntax import ast


def columns_of(settings: Mapping[str, object]) -> tuple[Column, ...] | None:
    data = settings.get("data")
    if isinstance(data, tuple) and data[0] in DATA_SETS:
        return DATA_SETS[data[0]].columns(data[1])
    return None


def bound_by_data(
    model: ast.Model, settings: Mapping[str, object], taken: Mapping[str, object]
) -> dict[str, object]:
    """Parameters without a default that a column's size decides: `seq[token[vocab]]`."""
    columns = columns_of(settings)
    bound: dict[str, object] = {}
    open_ = {p.name for p in model.params if p.default is None and p.name not in taken}
    if not open_:
        return bound
    data = settings.get("data")
    vocabulary = None
    if isinstance(data, tuple):
        arguments = {a.name: a.default for a in DATA_SETS[data[0]].arguments} | data[1]
        vocabulary = arguments.get("vocabulary")
    ports = [s for s in model.body if isinstance(s, ast.Input)]
    ports += [s for s in model.body if isinstance(s, ast.Target)]  # type: ignore[misc]
    for port, column in zip(ports, columns or (), strict=False):
        inner = port.type.element or port.type
        sizes: tuple[int | None, ...] = (column.size,)
        if column.kind == "token" and column.size is None and isinstance(vocabulary, int):
            sizes = (vocabulary,)
        if column.kind in ("real", "bit"):
            sizes = column.shape or ()
        for dim, size in zip(inner.dims, sizes, strict=False):
            if isinstance(dim, ast.Name) and dim.id in open_ and size is not None:
                bound.setdefault(dim.id, size)
    return bound


def check_block(e: Elaborator, block: Block, attempt: Attempt) -> None:
    """A `train` block against its model as it has come out."""
    if attempt.inputs:
        check_data(e, block.item, block.settings, attempt)
    check_freeze(e, block.item, attempt)
    loss = block.settings.get("loss")
    node = next((s.value for s in block.item.settings if s.name == "loss"), None)
    check_loss(
        e,
        attempt,
        loss[0] if isinstance(loss, tuple) else None,
        node.span if node is not None and isinstance(loss, tuple) else None,
        trained=True,
    )
    target = next((p for p in attempt.inputs if isinstance(p[0], ast.Target)), None)
    weighed = isinstance(loss, tuple) and loss[1].get("balanced")
    if node is not None and weighed and target is not None and target[1].kind != "class":
        e.error(
            "E0902",
            node,
            f"`balanced` weighs classes by how often they come, and the target is {target[1]}",
            help="leave it out",
            notes=[Note(f"`{target[0].name}` is declared here", target[0].span)],
        )
    metric = block.settings.get("metric")
    line = next((s.value for s in block.item.settings if s.name == "metric"), None)
    known = metrics_of(target[1] if target is not None else None)
    open_ = bool(attempt.assumed)  # its size, perhaps
    said = metric[0] if isinstance(metric, tuple) else "loss"
    if line is not None and said not in known and not (said == "auc" and open_):
        what = "none" if target is None else str(target[1])
        e.error(
            "E0905",
            line,
            f"`{said}` cannot be said of the target, which is {what}",
            help="its metrics are " + ", ".join(known),
            notes=[Note(f"`{target[0].name}` is declared here", target[0].span)] if target else [],
        )


def check_data(
    e: Elaborator, item: ast.Train, settings: Mapping[str, object], attempt: Attempt
) -> None:
    """Columns against `input` lines, then `target` lines."""
    columns = columns_of(settings)
    node = next((s.value for s in item.settings if s.name == "data"), None)
    if columns is None or node is None:
        return
    inputs = [p for p in attempt.inputs if isinstance(p[0], ast.Input)]
    ports = inputs + [p for p in attempt.inputs if isinstance(p[0], ast.Target)]
    name = node.span.text
    if len(columns) != len(ports):
        e.error(
            "E0903",
            node,
            f"`{name}` has {len(columns)} columns ({', '.join(map(str, columns))}), "
            f"the model has {len(ports)} (inputs, then targets)",
            help="an `input` line for each column given, a `target` line for each predicted",
            notes=[Note(f"`{p.name}` is declared here", p.span) for p, _ in ports],
        )
        return
    for (port, type_), column in zip(ports, columns, strict=True):
        if not column.holds(type_):
            word = "input" if isinstance(port, ast.Input) else "target"
            line = f"{word} {port.name}: {_open(column, type_.seq)}"
            e.error(
                "E0903",
                node,
                f"`{name}` gives {column} for the {word} `{port.name}`, which is {type_}",
                help=f"write `{line}`, or choose other data",
                notes=[Note(f"`{port.name}` is declared here", port.span)],
            )


def _open(column: Column, seq: bool) -> str:
    text = column.beside(seq)
    return (
        text.replace("token]", "token[vocab]")
        if column.kind == "token" and not column.size
        else text
    )


def default_loss(target: Type) -> str:
    return (
        "cross_entropy"
        if target.kind in ("class", "token")
        else "bce"
        if target.kind == "bit"
        else "mse"
    )


def loss_problem(loss: str, output: Type, target: Type, said: bool = True) -> str | None:
    """Why this loss can't compare them; None if it can. `said`: somebody has named the loss."""
    if output.kind != "real":
        return f"the output is {output}, not numbers"
    if output.seq != target.seq:
        return f"the output is {output}, the target {target}: one has a value at each step"
    discrete = target.kind in ("class", "token")
    who = f"`{loss}`" if said else "the target"
    if loss in ("cross_entropy", "nll"):
        if not discrete:
            return f"`{loss}` needs a target of classes or tokens, this one is {target}"
        if output.shape != (target.size,):
            return (
                f"{who} needs {target.size} scores, one for each of {target}; "
                f"the output is {output}"
            )
        return None
    if loss == "bce":
        if discrete and target.size == 2 and output.count == 1:
            return None
        if target.kind in ("bit", "real") and output.count == target.count:
            return None
        return (
            "`bce` needs one score for each bit of the target; "
            f"the output is {output}, the target {target}"
        )
    if loss == "fidelity":
        if output.count == 1:
            return None
        return f"`fidelity` is made of one number, a probability; the output is {output}"
    if target.kind != "real" and target.kind != "bit":
        return f"`{loss}` compares numbers, the target is {target}"
    if output.shape != target.shape and output.count != target.count:
        return f"`{loss}` compares numbers one by one: the output is {output}, the target {target}"
    return None


def check_freeze(e: Elaborator, item: ast.Train, attempt: Attempt) -> None:
    """What is frozen is a layer or a tensor of the model."""
    setting = next((s for s in item.settings if s.name == "freeze"), None)
    if setting is None or attempt.checked is None:
        return
    program = attempt.checked.program
    tensors = {w.name for w in program.weights}
    layers = {name.rpartition(".")[0] for name in tensors} - {""}
    known = tensors | layers | {x.name for x in program.externs}
    # A layer inside a block is known by the block's name too.
    known |= {".".join(n.split(".")[:k]) for n in known for k in range(1, n.count(".") + 1)}
    for node in setting.value.items if isinstance(setting.value, ast.List) else (setting.value,):
        name = dotted(node)
        if name is not None and name not in known:
            e.error(
                "E0201",
                node,
                f"`{item.model}` has no layer or tensor `{name}`",
                help=did_you_mean(name, known)
                or ("it has " + ", ".join(sorted(layers or tensors)) if known else ""),
            )


def check_loss(
    e: Elaborator, attempt: Attempt, loss: str | None, at: Span | None, trained: bool = False
) -> None:
    """The model's output against its targets. `trained`: by a `train` block, with this loss."""
    targets = [p for p in attempt.inputs if isinstance(p[0], ast.Target)]
    if attempt.result is None:
        return
    read = [p for p in attempt.inputs if isinstance(p[0], ast.Input) or p[1].seq]  # `shifted(y)`
    if trained and not read:
        assert attempt.result_span is not None
        e.error(
            "E0903",
            attempt.result_span,
            "nothing of the data comes in, so this is the same for all of it",
            help="declare what comes in: `input x: real[4]`",
        )
        return
    if trained and not targets and loss != "fidelity":
        assert attempt.result_span is not None
        e.error(
            "E0902",
            at or attempt.result_span,
            f"`{loss or 'mse'}` compares with a target, and there is none",
            help="declare one, `target y: …`; `loss = fidelity` needs none",
        )
    if trained and len(targets) > 1:
        first, second = targets[0][0], targets[1][0]
        e.error(
            "E0902",
            second.span,
            "a model is trained on one target, and this is a second one",
            help="declare what it is given as an `input`; numbers to foretell together are one "
            f"target, `target {first.name}: real[2]`",
            notes=[Note("the first is here", first.span)],
        )
    if len(targets) != 1:
        return
    port, target = targets[0]
    name = loss or default_loss(target)
    output = attempt.result.type
    if loss is None and not trained and target.kind not in ("class", "token"):
        return  # nobody has said how numbers are to be compared
    problem = loss_problem(name, output, target, loss is not None)
    if problem is None:
        if trained and attempt.checked is not None:
            where = at or attempt.result_span
            assert isinstance(where, Span)
            _check_scale(e, name, attempt.checked.program, where)
        return
    span = attempt.result_span
    assert span is not None
    help = ""
    if name in ("cross_entropy", "nll") and target.kind in ("class", "token"):
        help = f"end with a layer of that width: `layer head = linear({target.size})`"
        if output.seq != target.seq:
            help = "`emit` gives a value at each step, `return` one at the end"
    elif target.kind in ("class", "token"):
        help = "use `cross_entropy`"
    e.error(
        "E0902",
        at or span,
        problem,
        help=help,
        notes=[
            Note(f"the target is {target}", port.span),
            *([Note(f"the output is {output}", span)] if at else []),
        ],
    )


def _check_scale(e: Elaborator, loss: str, program: Program, at: Span) -> None:
    """Scores and probabilities are numbers alike, but no loss takes the one for the other."""
    [*_, out] = program.outputs
    ops = list(walk(program.body))
    emitted = {m.out.id: m.value for op in ops if isinstance(op, Loop) for m in op.emits}
    value = emitted.get(out.value.id, out.value)
    maker = next((op for op in ops if any(v.id == value.id for v in defs(op))), None)
    if loss == "cross_entropy" and isinstance(maker, (Probabilities, Softmax)):
        e.error(
            "E0902",
            at,
            "the output is a distribution already, and `cross_entropy` takes scores",
            help="`loss = nll` takes probabilities; or hand out their `log`",
        )
    elif loss == "nll" and isinstance(maker, (Linear, Expect)):
        e.error(
            "E0902",
            at,
            "the output is scores, of any size, and `nll` takes probabilities",
            help="use `cross_entropy`, or hand out their `softmax`",
        )
    elif loss == "bce" and isinstance(maker, Pointwise) and maker.fn == "sigmoid":
        e.error(
            "E0902",
            at,
            "the output is a probability already, and `bce` takes scores",
            help="leave `sigmoid` out",
        )
    elif loss == "nll" and isinstance(maker, Pointwise) and maker.fn == "log":
        e.error(
            "E0902",
            at,
            "the output is a logarithm, and `nll` takes probabilities",
            help="leave `log` out, or use `cross_entropy`",
        )

"""`train` and `govern` blocks: every setting known, of the right kind, and true to the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qrlang.check.constants import is_number
from qrlang.check.core import Elaborator
from qrlang.check.elaborate import Attempt, Setting
from qrlang.check.model import TrainBlock
from qrlang.check.report import did_you_mean
from qrlang.check.resolve import head
from qrlang.check.values import Poison, describe
from qrlang.data_schemas import DATA_SETS, Argument, Column
from qrlang.diagnostics import Note
from qrlang.ir.program import Loop, Pointwise, Probabilities, Program, Softmax
from qrlang.ir.types import Type
from qrlang.ir.walk import defs, walk
from qrlang.source import Span
from qrlang.syntax import ast

Plain = int | float | bool | str
Choice = tuple[str, dict[str, Plain]]


def _arguments(*names: str, **defaults: Plain) -> tuple[Argument, ...]:
    out = [Argument(n, "real", 0.0, 0.0) for n in names]
    for name, default in defaults.items():
        kind = (
            "bool" if isinstance(default, bool) else "int" if isinstance(default, int) else "real"
        )
        out.append(Argument(name, kind, default, 0.0))
    return tuple(out)


def _share(name: str, default: float) -> Argument:
    return Argument(name, "real", default, 0.0, 1.0)


def _count(name: str, default: int) -> Argument:
    return Argument(name, "int", default, 1.0)


_LR = Argument("lr", "real", 5e-3, 0.0)
_BETAS = (
    _share("beta1", 0.9),
    _share("beta2", 0.999),
    *_arguments(eps=1e-8, weight_decay=0.0),
)
_STEP = Argument("perturbation", "real", 0.1, 1e-9)

OPTIMIZERS: dict[str, tuple[Argument, ...]] = {
    "adam": (_LR, *_BETAS),
    "adamw": (_LR, *_BETAS),
    "sgd": (
        _LR,
        _share("momentum", 0.0),
        *_arguments(weight_decay=0.0, nesterov=False),
    ),
    "rmsprop": (
        _LR,
        _share("alpha", 0.99),
        *_arguments(eps=1e-8),
        _share("momentum", 0.0),
        *_arguments(weight_decay=0.0),
    ),
    "lbfgs": (_LR, _count("history", 10), _count("max_iterations", 20)),
    "spsa": (_LR, _STEP, *_arguments(alpha=0.602, gamma=0.101, stability=0.0)),
    "nelder_mead": (_count("max_iterations", 1000), *_arguments(tolerance=1e-6)),
    "ridge": _arguments(alpha=1e-6, washout=0),
}
LOSSES: dict[str, tuple[Argument, ...]] = {
    "cross_entropy": (_share("smoothing", 0.0),),
    "nll": (),
    "mse": (),
    "mae": (),
    "huber": (Argument("delta", "real", 1.0, 1e-9),),
    "bce": (),
    "fidelity": (),
}
SCHEDULES: dict[str, tuple[Argument, ...]] = {
    "constant": (),
    "cosine": _arguments(floor=0.0),
    "linear": _arguments(floor=0.0),
    "staircase": (_count("every", 10), *_arguments(factor=0.1)),
    "exponential": _arguments(factor=0.95),
}
STOPPING: dict[str, tuple[Argument, ...]] = {"patience": _arguments(epochs=5)}
METRICS = (
    "accuracy",
    "perplexity",
    "bits_per_token",
    "mse",
    "mae",
    "rmse",
    "nrmse",
    "bleu",
    "f1",
    "loss",
)
CORES = ("pqc", "orthogonal", "rnn", "gru", "lstm")
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("single", "double")


@dataclass(frozen=True, slots=True)
class Spec:
    """What a setting takes: a number within bounds, or one of some names with arguments."""

    kind: str  # int real bool string choice data names
    least: float | None = None
    most: float | None = None
    choices: Mapping[str, tuple[Argument, ...]] | None = None


def _names(*names: str) -> Spec:
    return Spec("choice", choices=dict.fromkeys(names, ()))


SETTINGS: dict[str, Spec] = {
    "data": Spec("data"),
    "loss": Spec("choice", choices=LOSSES),
    "optimizer": Spec("choice", choices=OPTIMIZERS),
    "quantum": Spec("choice", choices={k: v for k, v in OPTIMIZERS.items() if k != "ridge"}),
    "turns": Spec("int", 1, 10**9),
    "batch": Spec("int", 1, 2**20),
    "epochs": Spec("int", 1, 10**7),
    "steps": Spec("int", 1, 10**10),
    "schedule": Spec("choice", choices=SCHEDULES),
    "warmup": Spec("int", 0, 10**9),
    "clip": Spec("real", 0, 1e9),
    "seed": Spec("int", 0, 2**63),
    "validation": Spec("real", 0, 1),
    "early_stopping": Spec("int", 1, 10**6),
    "truncate": Spec("int", 1, 10**7),
    "accumulate": Spec("int", 1, 10**6),
    "length": Spec("int", 1, 10**7),
    "limit": Spec("int", 1, 10**9),
    "core": _names(*CORES),
    "metric": _names(*METRICS),
    "device": _names(*DEVICES),
    "precision": _names(*PRECISIONS),
    "shots": Spec("int", 0, 10**9),  # 0: exact
    "freeze": Spec("names"),
    "checkpoint": Spec("string"),
    "log": Spec("string"),
}


# What bounds a model while it trains; what each means is said in qrlang/governor.
BOUNDS: dict[str, Spec] = {
    "cycle": Spec("int", 1, 10**6),
    "probe": Spec("int", 1, 2**16),
    "window": Spec("int", 1, 10**6),
    "allow": Spec("real", 0, 1e6),
    "entropy": Spec("real", 0, 1e6),
    "touch": Spec("real", 0, 1e12),
    "consent": Spec("real", 0, 2),
}


class SettingsChecker:
    """The lines of one block against the settings that there are."""

    def __init__(
        self, e: Elaborator, item: ast.Train | ast.Govern, known: Mapping[str, Spec] = SETTINGS
    ) -> None:
        self.e = e
        self.item = item
        self.known = known

    def settings(self) -> tuple[dict[str, object], bool]:
        """The settings that are right, as plain data, and whether all are."""
        found: dict[str, object] = {}
        seen: dict[str, Span] = {}
        good = True
        for s in self.item.settings:
            if s.name in seen:
                self.e.error(
                    "E0202",
                    s,
                    f"`{s.name}` is set twice",
                    notes=[Note("the first is here", seen[s.name])],
                )
                good = False
                continue
            seen[s.name] = s.span
            spec = self.known.get(s.name)
            if spec is None:
                self.e.error(
                    "E0901",
                    s,
                    f"there is no setting `{s.name}`",
                    help=did_you_mean(s.name, self.known)
                    or "settings are " + ", ".join(self.known),
                )
                good = False
                continue
            value = self._setting(s, spec)
            if value is None:
                good = False
            else:
                found[s.name] = value
        return found, good

    def _setting(self, s: ast.Setting, spec: Spec) -> object | None:
        match spec.kind:
            case "choice":
                assert spec.choices is not None
                return self.choice(s.name, s.value, spec.choices)
            case "data":
                if isinstance(s.value, ast.Str):
                    return s.value.value
                return self.choice(
                    "data", s.value, {d.name: d.arguments for d in DATA_SETS.values()}
                )
            case "names":
                items = s.value.items if isinstance(s.value, ast.List) else (s.value,)
                names = [_written(i) for i in items]
                if any(n is None for n in names):
                    self.e.error(
                        "E0905",
                        s.value,
                        f"`{s.name}` takes names of layers and tensors",
                        help=f"`{s.name} = [embed, steer.w1]`",
                    )
                    return None
                return tuple(n for n in names if n is not None)
        return self.plain(s.name, s.value, spec.kind, spec.least, spec.most)

    def plain(
        self, name: str, node: ast.Expr, kind: str, least: float | None, most: float | None
    ) -> Plain | None:
        if isinstance(node, ast.Name) and self.e.lookup(node.id) is None:
            self.e.error("E0905", node, f"`{name}` takes {_kind(kind)}, found `{node.id}`")
            return None
        value = self.e.eval(node)
        if isinstance(value, Poison):
            return None
        right = {
            "int": isinstance(value, int) and not isinstance(value, bool),
            "real": is_number(value),
            "bool": isinstance(value, bool),
            "string": isinstance(value, str),
        }[kind]
        if not right:
            self.e.error("E0905", node, f"`{name}` takes {_kind(kind)}, found {describe(value)}")
            return None
        if is_number(value) and (
            (least is not None and value < least) or (most is not None and value > most)
        ):
            bounds = f"at least {least:g}" if most is None or value < least else f"at most {most:g}"  # type: ignore[operator]
            self.e.error("E0905", node, f"`{name}` is {bounds}, found {value:g}")
            return None
        assert isinstance(value, (int, float, bool, str))
        return value

    def choice(
        self, setting: str, node: ast.Expr, choices: Mapping[str, tuple[Argument, ...]]
    ) -> Choice | None:
        """`adam`, `adam(lr: 1e-3)`: a name, and arguments by order or by name."""
        func = node.func if isinstance(node, ast.Call) else node
        if not isinstance(func, ast.Name):
            self.e.error(
                "E0905", node, f"`{setting}` takes a name", help="one of " + ", ".join(choices)
            )
            return None
        if func.id not in choices:
            code, what = ("E0904", "data set") if setting == "data" else ("E0905", setting)
            help = did_you_mean(func.id, choices)
            if not help and setting == "data":
                help = 'data of your own is a path: `data = "mine.csv"`'
            self.e.error(
                code,
                func,
                f"there is no {what} `{func.id}`",
                help=help or "one of " + ", ".join(choices),
            )
            return None
        arguments = choices[func.id]
        given: dict[str, Plain] = {}
        names = [a.name for a in arguments]
        for k, arg in enumerate(node.args if isinstance(node, ast.Call) else ()):
            name = arg.name or (names[k] if k < len(names) else None)
            spec = next((a for a in arguments if a.name == name), None)
            if name is None or spec is None:
                self.e.error(
                    "E0302",
                    arg,
                    f"`{func.id}` has no argument `{arg.name}`"
                    if arg.name
                    else f"`{func.id}` takes {len(names) or 'no'} arguments",
                    help=(did_you_mean(arg.name, names) if arg.name else "")
                    or ("it has " + ", ".join(names) if names else ""),
                )
                return None
            if name in given:
                self.e.error("E0302", arg, f"`{name}` is given twice")
                return None
            value = self.plain(name, arg.value, spec.type, spec.least, spec.most)
            if value is None:
                return None
            given[name] = value
        for a in arguments:
            if a.default is None and a.name not in given:
                self.e.error(
                    "E0301", node, f"`{func.id}` needs `{a.name}`", help=f"`{func.id}({a.name}: …)`"
                )
                return None
        return func.id, given


def _written(node: ast.Expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Field):
        base = _written(node.base)
        return None if base is None else f"{base}.{node.name}"
    return None


def _kind(kind: str) -> str:
    return {
        "int": "a whole number",
        "real": "a number",
        "bool": "true or false",
        "string": "a text",
    }.get(kind, kind)


# --- against the model ---


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


def check_data(
    e: Elaborator, item: ast.Train, settings: Mapping[str, object], attempt: Attempt
) -> None:
    """Columns against `input` lines, then `target` lines."""
    columns = columns_of(settings)
    node = next((s.value for s in item.settings if s.name == "data"), None)
    if columns is None or node is None or attempt.elaborator is None:
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
        if not fits_column(type_, column):
            word = "input" if isinstance(port, ast.Input) else "target"
            e.error(
                "E0903",
                node,
                f"`{name}` gives {column} for the {word} `{port.name}`, which is {type_}",
                help=f"write `{word} {port.name}: {_open(column)}`, or choose other data",
                notes=[Note(f"`{port.name}` is declared here", port.span)],
            )


def _open(column: Column) -> str:
    text = str(column)
    return (
        text.replace("token]", "token[vocab]")
        if column.kind == "token" and not column.size
        else text
    )


def fits_column(type_: Type, column: Column) -> bool:
    if type_.kind != column.kind or column.seq not in (None, type_.seq):
        return False
    if column.kind in ("real", "bit"):
        return column.shape is None or type_.shape == column.shape
    return column.size is None or type_.size == column.size


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
        name = _written(node)
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
    if attempt.result is None or len(targets) != 1:
        return
    port, target = targets[0]
    name = loss or default_loss(target)
    output = attempt.result.type
    if loss is None and target.kind not in ("class", "token"):
        return  # nobody has said how numbers are to be compared
    problem = loss_problem(name, output, target, loss is not None)
    if problem is None:
        if trained and attempt.checked is not None:
            where = at or attempt.result_span
            assert isinstance(where, Span)
            _check_scale(e, name, attempt.checked.program, where)
        return
    span = attempt.result_span
    assert isinstance(span, Span)
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
    elif loss == "nll" and isinstance(maker, Pointwise) and maker.fn == "log":
        e.error(
            "E0902",
            at,
            "the output is a logarithm, and `nll` takes probabilities",
            help="leave `log` out, or use `cross_entropy`",
        )


def train_block(
    item: ast.Train, args: Mapping[str, Setting], settings: Mapping[str, object]
) -> TrainBlock:
    return TrainBlock(item.model, dict(args), dict(settings), head(item))

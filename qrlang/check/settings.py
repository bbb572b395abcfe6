"""`train` and `govern` blocks: the settings that there are, each known and of the right kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qrlang.check.constants import is_number, is_whole
from qrlang.check.core import Elaborator
from qrlang.check.elsewhere import SETTINGS_ELSEWHERE
from qrlang.check.values import Poison, describe
from qrlang.data_schemas import DATA_SETS, Argument, kind_of_file
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import did_you_mean
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
    "cosine": (_share("floor", 0.0),),
    "linear": (_share("floor", 0.0),),
    "staircase": (_count("every", 10), *_arguments(factor=0.1)),
    "exponential": _arguments(factor=0.95),
}
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
                    help=SETTINGS_ELSEWHERE.get(s.name, "")
                    or did_you_mean(s.name, self.known)
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
                    if kind_of_file(s.value.value):
                        return s.value.value
                    what = "a file of your own is .csv or .tsv (packed with .gz or not), or .npz"
                    self.e.error("E0905", s.value, f"{what}; found `{s.value.value}`")
                    return None
                return self.choice(
                    "data", s.value, {d.name: d.arguments for d in DATA_SETS.values()}
                )
            case "names":
                items = s.value.items if isinstance(s.value, ast.List) else (s.value,)
                names = [dotted(i) for i in items]
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
        first = node
        while isinstance(first, ast.Field):
            first = first.base
        if isinstance(first, ast.Name) and self.e.lookup(first.id) is None:
            said = node.span.text
            help = f'in quotes: `"{said}"`' if kind == "string" else ""
            self.e.error("E0905", node, f"`{name}` takes {_kind(kind)}, found `{said}`", help=help)
            return None
        value = self.e.eval(node)
        if isinstance(value, Poison):
            return None
        right = {
            "int": is_whole(value),
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
            low = least is not None and value < least
            bounds = f"at least {_shown(least)}" if low else f"at most {_shown(most)}"
            self.e.error("E0905", node, f"`{name}` is {bounds}, found {_shown(value)}")
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
                    help=("write `lr`" if arg.name == "learning_rate" and "lr" in names else "")
                    or (did_you_mean(arg.name, names) if arg.name else "")
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


def dotted(node: ast.Expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Field):
        base = dotted(node.base)
        return None if base is None else f"{base}.{node.name}"
    return None


def _shown(number: object) -> str:
    """`1,048,576`, `0.5`."""
    whole = isinstance(number, int) or (isinstance(number, float) and number.is_integer())
    return f"{number:,.0f}" if whole else f"{number:g}"


def _kind(kind: str) -> str:
    return {
        "int": "a whole number",
        "real": "a number",
        "bool": "true or false",
        "string": "a text",
    }.get(kind, kind)

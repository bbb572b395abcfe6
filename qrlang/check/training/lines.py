"""The lines of a `train` or a `govern` block: each setting known, and of the right kind."""

from __future__ import annotations

from collections.abc import Mapping

from qrlang.check.algebra.numbers import is_number, is_whole
from qrlang.check.core.elaborator import Elaborator
from qrlang.check.core.values import Poison, describe
from qrlang.check.training.data_sets import DATA_SETS, Argument, kind_of_file
from qrlang.check.training.settings import SETTINGS, Choice, Plain, Spec
from qrlang.check.written.elsewhere import SETTINGS_ELSEWHERE
from qrlang.diagnostics import Note
from qrlang.diagnostics.words import did_you_mean
from qrlang.source import Span
from qrlang.syntax import ast


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
                    what = "a file of your own is .csv, .tsv, .txt (with or without .gz) or .npz"
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

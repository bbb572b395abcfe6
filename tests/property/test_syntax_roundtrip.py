"""Trees are printed and read back; texts with comments anywhere are formatted and keep them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from qrlang.format import format_text
from qrlang.format.comments import moved
from qrlang.format.formatter import layout
from qrlang.source import Source, Span
from qrlang.syntax import ast
from qrlang.syntax.parser import parse
from qrlang.syntax.tokens import tokens

NOWHERE = Span(Source("generated", ""), 0, 0)

NAMES = st.sampled_from(
    ["a", "b", "theta", "q", "θ", "target", "layer", "last", "x_1", "inv", "by"]
)


def node(kind: type, *parts: st.SearchStrategy[Any], **named: Any) -> st.SearchStrategy[Any]:
    return st.builds(lambda *a, **k: kind(*a, span=NOWHERE, **k), *parts, **named)


def some(item: st.SearchStrategy[Any], least: int = 0, most: int = 3) -> st.SearchStrategy[Any]:
    return st.lists(item, min_size=least, max_size=most).map(tuple)


def maybe(item: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | item


NAME = node(ast.Name, NAMES)
TEXTS = st.text(
    st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from('\n\t"\\'), max_size=8
)
LEAF = st.one_of(
    NAME,
    node(ast.Int, st.integers(0, 2**63 - 1)),
    st.floats(0, 1e300).map(lambda x: ast.Real(x, repr(x), span=NOWHERE)),
    node(ast.Bool, st.booleans()),
    node(ast.Str, TEXTS),
)
OPERATORS = st.sampled_from(
    ["+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "and", "or"]
)


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    spans = node(ast.Range, inner, inner, maybe(inner))
    slices = node(ast.Range, maybe(inner), maybe(inner), maybe(inner))
    clause = node(ast.Clause, NAMES, inner | spans, maybe(inner))
    arg = node(ast.Arg, inner, maybe(NAMES | st.sampled_from(["over", "model", "read"])))
    return st.one_of(
        node(ast.Unary, st.sampled_from(["-", "not"]), inner),
        node(ast.Binary, OPERATORS, inner, inner),
        node(ast.Call, inner, some(arg)),
        node(ast.Index, inner, some(inner | slices, 1)),
        node(ast.Field, inner, NAMES),
        node(ast.List, some(inner, most=20)),
        node(ast.Comprehension, inner, some(clause, 1, 2)),
        node(ast.Read, inner, maybe(inner)),
        node(ast.Measure, inner),
    )


EXPR = st.recursive(LEAF, _larger, max_leaves=12)
RANGE = EXPR | node(ast.Range, EXPR, EXPR, maybe(EXPR))
OPERAND = st.recursive(
    NAME,
    lambda inner: node(ast.Index, inner, some(RANGE, 1, 2)) | node(ast.Field, inner, NAMES),
    max_leaves=2,
)
OPERANDS = some(OPERAND, 1)
ARGS = some(node(ast.Arg, EXPR, maybe(NAMES)))
TYPE = st.recursive(
    node(
        ast.TypeExpr,
        st.sampled_from(["real", "angle", "int", "qubit"]),
        some(EXPR | node(ast.Hole)),
    ),
    lambda inner: inner.map(lambda t: ast.TypeExpr("seq", (), t, span=NOWHERE)),
    max_leaves=2,
)
MODIFIERS = some(
    st.builds(
        lambda kind, arg: ast.Modifier(kind, arg, span=NOWHERE),
        st.sampled_from(["inv", "ctrl", "negctrl", "pow"]),
        maybe(EXPR),
    ),
    most=2,
)
DOC = st.sampled_from(["", "One line.", "Two\n  lines.", "With\n\na gap."])
CONST = node(ast.Const, NAMES, EXPR, DOC)
BINDING = node(ast.AnsatzBinding, NAMES, EXPR)
REGISTER = node(ast.Register, NAMES, EXPR)

SIMPLE = st.one_of(
    node(ast.Let, NAMES, EXPR),
    node(ast.Update, NAMES.filter(lambda n: n not in ("target", "layer", "inv")), EXPR),
    node(ast.Emit, EXPR, maybe(NAMES)),
    node(ast.Return, EXPR),
    node(ast.Gate, st.sampled_from(["h", "cx", "θ"]), ARGS, OPERANDS, MODIFIERS),
    st.builds(
        lambda callee, on, mods, time, steps: ast.Apply(
            callee, on, mods, time, steps if time else None, span=NOWHERE
        ),
        EXPR.filter(lambda e: not (isinstance(e, ast.Name) and e.id == "inv")),
        OPERANDS,
        MODIFIERS,
        maybe(EXPR),
        maybe(EXPR),
    ),
    node(ast.Prepare, EXPR, OPERANDS),
    node(ast.Reset, OPERANDS),
    node(ast.Discard, node(ast.Measure, EXPR)),
    node(ast.Postselect, EXPR, EXPR),
    node(ast.Require, EXPR, TEXTS),
    node(ast.Input, NAMES, TYPE),
    node(ast.Target, NAMES, TYPE),
    node(ast.Qubits, some(REGISTER, 1), maybe(EXPR)),
    node(ast.Readout, NAMES, EXPR, maybe(EXPR), maybe(EXPR)),
    BINDING,
    node(
        ast.Layer, st.sampled_from(["layer", "controller", "attention"]), NAMES, EXPR, st.booleans()
    ),
    # `frozen layer …` declares a layer, whatever follows.
    node(ast.Param, NAMES.filter(lambda n: n != "layer"), TYPE, maybe(EXPR), st.booleans()),
    node(ast.Carry, NAMES, TYPE, maybe(EXPR)),
    CONST,
    node(ast.Init, OPERAND, EXPR),
)


def _step(names: tuple[str, ...], over: Any, body: Any, extra: Any, flag: Any) -> ast.Step:
    over = over if names else ()
    return ast.Step(names, over, body, extra, flag if extra else None, span=NOWHERE)


def _blocks(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    body = some(inner)
    return st.one_of(
        node(ast.If, EXPR, body, body),
        node(ast.For, NAMES, RANGE, body),
        node(ast.Recurrent, NAMES, some(EXPR, 1, 2), body),
        st.builds(
            _step,
            some(NAMES.filter(lambda n: n != "by"), most=2),
            some(EXPR, most=2),
            body,
            maybe(EXPR),
            maybe(NAMES),
        ),
    )


BODY = some(st.recursive(SIMPLE, _blocks, max_leaves=4), most=4)
PARAMS = some(node(ast.Parameter, NAMES, TYPE, maybe(EXPR)))
REGISTERS = some(node(ast.RegisterParam, NAMES, maybe(EXPR)), 1)
VALUES = some(node(ast.ValueParam, NAMES, TYPE))
USED = node(ast.UseName, NAMES, maybe(NAMES))


def _use(path: tuple[str, ...], names: tuple[ast.UseName, ...], relative: bool) -> ast.Use:
    # Without a path there is no `.{…}`, and a relative name is one word after the dot.
    return ast.Use(path, names if path else names[:1], relative, span=NOWHERE)


ITEM = st.one_of(
    st.builds(_use, some(NAMES), some(USED, 1), st.booleans()),
    CONST,
    BINDING,
    node(ast.Ansatz, NAMES, PARAMS, REGISTERS, VALUES, BODY, DOC),
    node(ast.ReadoutDef, NAMES, PARAMS, REGISTERS, EXPR, DOC),
    node(ast.Hamiltonian, NAMES, PARAMS, REGISTERS, VALUES, EXPR, DOC),
    node(ast.Circuit, NAMES, PARAMS, VALUES, maybe(TYPE), BODY, DOC),
    node(ast.Extern, NAMES, PARAMS, some(TYPE), TYPE, TEXTS, DOC),
    node(ast.Model, NAMES, PARAMS, BODY, DOC),
    node(
        ast.Train,
        NAMES,
        ARGS,
        some(node(ast.Setting, NAMES | st.sampled_from(["model", "step"]), EXPR)),
        DOC,
    ),
)

# Shrinking a file takes minutes; the printed text says enough.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
few = settings(phases=PHASES, max_examples=50, suppress_health_check=list(HealthCheck))


@few
@given(EXPR)
def test_expressions(expr: ast.Expr) -> None:
    _reads_back((ast.Const("a", expr, span=NOWHERE),))


@few
@given(st.lists(ITEM, max_size=3))
def test_files(items: list[Any]) -> None:
    _reads_back(tuple(items))


def _reads_back(items: tuple[Any, ...]) -> None:
    text = layout(ast.File(NOWHERE.source, items))
    file, diagnostics = parse(Source("x", text))
    assert not [d for d in diagnostics if d.severity == "error"], text
    assert file.items == items, text
    again, found = format_text(Source("x", text))
    assert again is not None, (found, text)
    assert format_text(Source("x", again))[0] == again


SEEDS = [
    path.read_text(encoding="utf-8")
    for path in sorted((Path(__file__).parents[1] / "syntax" / "good").glob("*.qrl"))
    if path.stem != "soft_words"
]
COMMENT = st.sampled_from(
    [
        "// c\n",
        "/* d */",
        " // e\n",
        "/* two\n   lines */",
        "\n// own\n",
        "\n\n/* f */\n",
        "/// doc\n",
    ]
)


@few
@given(st.data())
def test_comments_anywhere(data: st.DataObject) -> None:
    """Between any two tokens: no comment is lost, the tree stays, the result is stable."""
    text = data.draw(st.sampled_from(SEEDS))
    places = [0, *(span.end for kind, _, span in tokens(Source("x", text)) if kind != "DOC")]
    chosen = data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=6))
    for place in sorted(chosen, reverse=True):
        text = f"{text[:place]} {data.draw(COMMENT)} {text[place:]}"
    _keeps(text)


@few
@given(st.data())
def test_any_layout(data: st.DataObject) -> None:
    """Blanks and line ends between tokens say nothing."""
    text = data.draw(st.sampled_from(SEEDS))
    source = Source("x", text)
    gap: Callable[[], str] = lambda: data.draw(st.sampled_from([" ", "\n", "\n\n\n", "  ", "\t"]))  # noqa: E731
    one_in_ten = st.integers(0, 9)
    out = []
    end = 0
    for kind, part, span in tokens(source):
        between = text[end : span.start]
        between = gap() if between and data.draw(one_in_ten) == 0 else between
        out += [between, part, "\n" if kind in ("COMMENT", "DOC") else ""]
        end = span.end
    _keeps("".join(out))


def _keeps(text: str) -> None:
    file, diagnostics = parse(Source("x", text))
    if any(d.severity == "error" for d in diagnostics):
        return  # a comment between `layer` and its name, on a line of its own, may do that
    out, found = format_text(Source("x", text))
    assert out is not None, (found[-1].message, text)
    again, _ = parse(Source("x", out))
    assert again.items == file.items
    assert Counter(map(moved, again.comments)) == Counter(map(moved, file.comments))

"""What stands under the pointer: how it is declared, what was inferred of it, what it is for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from qrlang.analysis.cost import cost
from qrlang.check.core.layer_kinds import LAYERS, REQUIRED, LayerKind
from qrlang.check.functions.builtins import FUNCTIONS
from qrlang.check.training.data_sets import DATA_SETS, Argument
from qrlang.check.training.settings import BOUNDS, SETTINGS, Spec
from qrlang.check.written.gates import gate_spec
from qrlang.driver import Compilation
from qrlang.editor.document import Document
from qrlang.editor.names import Symbol, name_at
from qrlang.gates import CHANNELS
from qrlang.grammar.keywords import KEYWORDS, TYPES
from qrlang.inspection.definitions import drawn, sizes
from qrlang.source import Span
from qrlang.syntax import ast

WORDS = {k.word: k for k in (*TYPES, *KEYWORDS)}
WIDTH = 76  # of a drawing
_KINDS = {
    "int": "a whole number",
    "real": "a number",
    "bool": "true or false",
    "string": "a text",
    "data": "a data set or a file",
    "names": "names",
}
_WORD = re.compile(r"[A-Za-z_]\w*")


def hover(document: Document, offset: int) -> tuple[str, Span] | None:
    """As Markdown, and what it is about."""
    found = name_at(document, offset)
    if found is not None:
        return about(document, found.symbol), found.span
    word = word_at(document, offset)
    if word is None or document.source.text[word.start - 1 : word.start] == ".":
        return None
    said = _setting(document, word) or gate(word.text) or keyword(word.text)
    return (said, word) if said else None


def word_at(document: Document, offset: int) -> Span | None:
    """The word of the language that an offset is in; not one in a comment or a text."""
    text = document.source.text
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    for m in _WORD.finditer(text, start, len(text) if end < 0 else end):
        if m.start() <= offset <= m.end():
            before = text[start : m.start()]
            outside = "//" not in before and before.count('"') % 2 == 0
            return Span(document.source, m.start(), m.end()) if outside else None
    return None


def about(document: Document, symbol: Symbol) -> str:
    if symbol.item is not None:
        return _item(document, symbol)
    if symbol.place is None:
        return builtin(symbol.name)
    assert symbol.declared is not None
    own = symbol.word in ("parameter", "register", "value")
    line = symbol.declared.text if own else document.line(symbol.place.start)
    return "\n\n".join(
        [_code(line.removesuffix("{").rstrip()), *filter(None, [document.fact(symbol.place)])]
    )


def _item(document: Document, symbol: Symbol) -> str:
    """The first lines of what it says of itself, what it looks like, then the rest."""
    item = symbol.item
    assert item is not None
    first, _, rest = getattr(item, "doc", "").partition("\n\n")
    shown = []
    if isinstance(item, ast.Model):
        shown = [_parameters(document, item)]
    elif isinstance(item, ast.Definition):
        shown = _drawing(document, symbol, item)
    return "\n\n".join(filter(None, [_code(signature(item)), first, *shown, rest]))


def _parameters(document: Document, item: ast.Model) -> str:
    made = document.made.checked.models.get(item.name) if document.right is document else None
    if made is None:
        return ""
    spent = cost(made.program)
    at = ", ".join(f"{k} = {v}" for k, v in made.program.settings)
    said = f"{spent.classical:,} classical and {spent.quantum:,} quantum parameters"
    return f"{said} at {at}" if at else said


def _drawing(document: Document, symbol: Symbol, item: ast.Definition) -> list[str]:
    local = _local(document, symbol)
    if document.made.broken or not local:
        return []
    # For itself: what `made` has may be in use, by another thread.
    alone = Compilation(document.source, read=(document.file, document.made.syntax))
    found, problems = drawn(alone, local, {}, True, WIDTH)
    if problems:
        return []
    picture = re.sub(r"\n\n+", "\n\n", found["drawing"].strip())
    return [f"```text\n{picture}\n```", sizes(item, found).replace("*", r"\*")]


def _local(document: Document, symbol: Symbol) -> str:
    """What a definition is called in this file."""
    if symbol.module is document.module:
        return symbol.name
    uses = document.module.uses
    return next((name for name in uses if document.module.item(name) is symbol.item), "")


def signature(item: ast.Node) -> str:
    """A definition as far as its body."""
    text = item.span.text
    if isinstance(item, (ast.Const, ast.AnsatzBinding, ast.Extern)):
        return text
    body = text.find("{") if hasattr(item, "body") and isinstance(item.body, tuple) else -1
    return " ".join((text[:body] if body >= 0 else text).split())


def builtin(name: str) -> str:
    kind = LAYERS.get(name)
    if kind is not None and name not in FUNCTIONS:
        return layer(kind)
    if name in FUNCTIONS:
        call, _, doc = FUNCTIONS[name].doc.partition("): ")
        said = f"{_code(call + ')')}\n\n{doc}"
        return f"{said}\n\nAs an attention: {kind.doc}" if kind is not None else said
    values = {
        "pi": "π, 3.14159…",
        "tau": "2π, 6.28318…",
        "I": "the identity: a constant in a sum of Pauli words",
        "mixed": "the maximally mixed state: `qubits q[n] = mixed`",
        "haar": "unitaries evenly over the whole group, as initial values",
    }
    return f"{_code(name)}\n\n{values.get(name, '')}".strip()


def layer(kind: LayerKind) -> str:
    tensors = f"\n\nTrains {kind.tensors}" if kind.tensors else ""
    return f"{_code(layer_call(kind))}\n\n{kind.doc}{tensors}"


def layer_call(kind: LayerKind) -> str:
    """`mlp(hidden: width, activation: activation = relu, …)`"""
    left_out = (None, REQUIRED)
    given = ", ".join(
        f"{s.name}: {s.type}" + ("" if s.default in left_out else f" = {_value(s.default)}")
        for s in kind.settings
    )
    return f"{kind.name}({given})"


def gate(name: str) -> str:
    if name in CHANNELS:
        channel = CHANNELS[name]
        given = ", ".join(["p", "q", "r"][: channel.args])
        return f"{_code(f'{name}({given}) {_operands(channel.qubits)}')}\n\n{channel.doc}"
    found = gate_spec(name)
    if found is None:
        return ""
    spec, controls = found
    angles = f"({', '.join('abc'[: spec.angles])})" if spec.angles else ""
    line = f"{name}{angles} {_operands(spec.qubits + controls)}"
    said = spec.doc + (f": exp(-i a/2 {spec.pauli})" if spec.pauli else "")
    if controls:
        last = "the last qubit" if spec.qubits == 1 else f"the last {spec.qubits} qubits"
        said = f"{said}, of {last} where the others are 1"
    return f"{_code(line)}\n\n{said}"


def keyword(word: str) -> str:
    found = WORDS.get(word)
    return f"`{word}`: {found.meaning}" if found is not None else ""


def block_at(document: Document, offset: int) -> ast.Train | ast.Govern | None:
    """The `train` or `govern` block that an offset is in."""
    for item in document.file.items:
        if isinstance(item, (ast.Train, ast.Govern)) and (
            item.span.start <= offset <= item.span.end
        ):
            return item
    return None


def settings_of(block: ast.Train | ast.Govern) -> Mapping[str, Spec]:
    return SETTINGS if isinstance(block, ast.Train) else BOUNDS


def _setting(document: Document, word: Span) -> str:
    block = block_at(document, word.start)
    if block is None:
        return ""
    text, settings = word.text, settings_of(block)
    said = f"`{text}`: {takes(settings[text])}" if text in settings else ""
    if re.match(r"\s*=", document.source.text[word.end :]):  # a metric can be called so too
        return said
    if text in DATA_SETS:
        data = DATA_SETS[text]
        return f"{_code(call(text, data.arguments))}\n\n{data.doc}"
    for spec in settings.values():
        if spec.choices is not None and text in spec.choices:
            return _code(call(text, spec.choices[text]))
    return said


def takes(spec: Spec) -> str:
    """What a setting can be, in words."""
    if spec.choices is not None:
        return "one of " + ", ".join(spec.choices)
    kind = _KINDS[spec.kind]
    if spec.least is None or spec.most is None:
        return kind
    return f"{kind} from {spec.least:g}" + (f" to {spec.most:g}" if spec.most <= 1e4 else " on")


def call(name: str, arguments: tuple[Argument, ...]) -> str:
    """`adam(lr: 0.005, beta1: 0.9)`: a choice with its arguments."""
    given = ", ".join(
        a.name + (f": {a.type}" if a.default is None else f": {_value(a.default)}")
        for a in arguments
    )
    return f"{name}({given})" if given else name


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) and not value.isidentifier() else str(value)


def _operands(count: int) -> str:
    return ", ".join(f"q[{i}]" for i in range(count))


def _code(text: str) -> str:
    return f"```qrl\n{text}\n```"

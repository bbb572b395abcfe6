"""What fits at each kind of place, and what it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from qrlang.check.core.layer_kinds import LAYERS
from qrlang.check.functions.builtins import BUILTINS, FUNCTIONS
from qrlang.check.library import Library, items_of
from qrlang.check.training.data_sets import DATA_SETS
from qrlang.editor import hover
from qrlang.editor.calls import call_at
from qrlang.editor.document import Document
from qrlang.editor.names import Symbol
from qrlang.editor.scopes import visible
from qrlang.gates import CHANNELS, GATES, SUGAR
from qrlang.grammar.keywords import KEYWORDS
from qrlang.inspection.definitions import installed
from qrlang.source import Source, Span
from qrlang.syntax import ast
from qrlang.syntax.parser import parse

# Of what is applied, bound and read: kinds of items.
_APPLIED = (ast.Ansatz, ast.AnsatzBinding, ast.Hamiltonian)
BOUND: dict[str, tuple[type, ...]] = {
    "ansatz": (ast.Ansatz, ast.AnsatzBinding),
    "readout": (ast.ReadoutDef, ast.Hamiltonian),
    "layer": (ast.Circuit, ast.Extern),
    "controller": (ast.Circuit, ast.Extern),
    "attention": (),
}
LATEST = re.compile(r"\w*$")
_NOT_IN_ANSATZ = (
    "input target controller layer attention param frozen carry init recurrent step emit return"
)


@dataclass(frozen=True)
class Completion:
    text: str
    kind: str  # keyword gate function layer type setting value module item name
    detail: str = ""
    doc: str = ""  # Markdown
    use: str = ""  # what has to be drawn in for it: `std.ansatz.su2_ring`


def paths(document: Document, path: str) -> Iterator[Completion]:
    """After `use`: the next part of the path."""
    if path.startswith("."):
        yield from _beside(document, path[1:])
        return
    found: dict[str, ast.Definition | None] = {}
    for name, item in _installed().items():
        if name.startswith(path):
            part, _, rest = name[len(path) :].partition(".")
            found[part] = None if rest else item
    for part, thing in found.items():
        if thing is None:
            yield Completion(part, "module")
        else:
            yield _definition(part, thing)


def _beside(document: Document, path: str) -> Iterator[Completion]:
    """Files beside this one, and what is in them."""
    folder = document.module.folder
    if folder is None:
        return
    *parts, _ = path.split(".")
    inside = folder.joinpath(*parts)
    if not parts or inside.is_dir():
        for file in sorted(inside.glob("*.qrl")):
            if file.name != document.source.name.replace("\\", "/").rsplit("/", 1)[-1]:
                yield Completion(file.stem, "module")
    file = inside.with_suffix(".qrl")
    if parts and file.is_file():
        text = file.read_text(encoding="utf-8", errors="replace")
        for name, item in items_of(parse(Source(str(file), text))[0]).items():
            if isinstance(item, ast.Definition):
                yield _definition(name, item)
            elif not isinstance(item, ast.Model):
                yield Completion(name, "item", hover.signature(item))


def settings(block: ast.Train | ast.Govern, at: str) -> Iterator[Completion]:
    known = hover.settings_of(block)
    inside = re.match(r"\s*(\w+)\s*=\s*(\w+)\(.*?(\w*)$", at)
    value = re.match(r"\s*(\w+)\s*=\s*$", at)
    if inside is not None and inside[1] in known:
        choices = known[inside[1]].choices or {k: d.arguments for k, d in DATA_SETS.items()}
        for a in choices.get(inside[2], ()):
            yield Completion(f"{a.name}: ", "setting", a.type if a.default is None
                             else f"{a.type}, {a.default}")  # fmt: skip
    elif value is not None and value[1] in known:
        spec = known[value[1]]
        if spec.kind == "data":
            for name, data in DATA_SETS.items():
                yield Completion(name, "value", hover.call(name, data.arguments), data.doc)
        for name, arguments in (spec.choices or {}).items():
            yield Completion(name, "value", hover.call(name, arguments))
    elif not at.strip():
        given = {s.name for s in block.settings}
        for name, spec in known.items():
            if name not in given:
                yield Completion(f"{name} = ", "setting", hover.takes(spec))


def members(document: Document, base: str) -> Iterator[Completion]:
    """After a dot: what a recurrence has inside, or a layer's tensors."""
    known = (document.right if document.made.broken else None) or document
    for m in reversed(known.mentions):
        if m.name == base and m.info is not None:
            for name, info in (m.info.members or {}).items():
                yield Completion(name, "name", info.word)
            if m.info.members is None:
                line = known.line(m.info.span.start)
                kind = re.search(r"=\s*(\w+)", line)
                tensors = LAYERS[kind[1]].tensors if kind and kind[1] in LAYERS else ""
                for tensor in re.findall(r"\w+", tensors) if "of the" not in tensors else ():
                    yield Completion(tensor, "name", f"of {base}")
            return


def models(document: Document) -> Iterator[Completion]:
    for item in document.file.items:
        if isinstance(item, ast.Model):
            yield Completion(item.name, "item", hover.signature(item), item.doc)


def lines(document: Document, offset: int, inside: str) -> Iterator[Completion]:
    """What a line can begin with, in the body of something or outside of all."""
    if not inside:
        for k in KEYWORDS:
            if k.role == "item":
                yield word(k.word)
        return
    for k in KEYWORDS:
        item = k.word in ("ansatz", "readout", "const")  # stand in bodies too
        begins = k.role in ("declaration", "statement", "modifier") or k.word == "measure"
        if (begins or item) and (inside != "ansatz" or k.word not in _NOT_IN_ANSATZ.split()):
            yield word(k.word)
    yield from _gates(document, offset)
    for s in visible(document, offset).values():
        if s.word == "carry":
            yield Completion(f"{s.name} <- ", "name", document.fact(_place(s)) or "carry")


def _gates(_: Document, __: int) -> Iterator[Completion]:
    for name in (*GATES, *SUGAR, *CHANNELS):
        yield Completion(name, "gate", doc=hover.gate(name))


def bound(document: Document, offset: int, word: str) -> Iterator[Completion]:
    """`controller steer = …`"""
    for kind in LAYERS.values():
        if word in kind.words:
            yield Completion(kind.name, "layer", kind.doc, hover.layer(kind))
    yield from _items(document, BOUND[word])
    yield from _named(document, offset, lambda s: s.word == word != "layer" or _of(s, word))


def applied(document: Document, offset: int) -> Iterator[Completion]:
    """After `apply`; a unitary that is a value too."""

    def fits(s: Symbol) -> bool:
        unitary = s.word in ("param", "frozen", "let", "input", "item")
        if unitary and (fact := document.fact(_place(s))):
            unitary = fact.startswith(("unitary", "seq[unitary"))
        return unitary or s.word == "ansatz" or _of(s, "ansatz", "hamiltonian")

    yield from _named(document, offset, fits)
    yield from _items(document, _APPLIED)


def _registers(document: Document, offset: int) -> Iterator[Completion]:
    yield from _named(document, offset, lambda s: s.word in ("qubits", "register"))


def read(document: Document, offset: int) -> Iterator[Completion]:
    """After `read`: what has been named, and what can be said on the spot."""
    yield from _named(document, offset, lambda s: s.word == "readout" or _of(s, "readout"))
    yield from _items(document, BOUND["readout"])
    for name in ("X", "Y", "Z", "probs"):
        yield Completion(name, "function", doc=hover.builtin(name))


def _of(symbol: Symbol, *types: str) -> bool:
    """A parameter of one of these types."""
    return (
        symbol.word == "parameter"
        and symbol.declared is not None
        and any(re.search(rf":\s*{t}\b", symbol.declared.text) for t in types)
    )


def _values(document: Document, offset: int) -> Iterator[Completion]:
    call = call_at(document, offset)
    at = LATEST.sub("", document.line_before(offset)).rstrip()
    for part in call.parts if call is not None and at.endswith(("(", ",")) else ():
        name, colon, type_ = part.partition(":")
        if colon and not re.search(rf"[(,]\s*{name}\s*:[^()]*$", at):
            yield Completion(f"{name}: ", "setting", type_.strip())
    yield from _named(document, offset, lambda s: True)
    yield from _items(document, (ast.Const, ast.Circuit, ast.Hamiltonian, ast.ReadoutDef), False)
    for name in BUILTINS:
        if name not in LAYERS or name in FUNCTIONS:  # layers are declared, not called
            kind = "function" if name in FUNCTIONS else "value"
            yield Completion(name, kind, doc=hover.builtin(name))


def _layers(document: Document, offset: int) -> Iterator[Completion]:
    """After `init`: what has tensors."""
    yield from _named(document, offset, lambda s: s.word in ("layer", "controller", "attention"))


# What comes next, told by the line; only words: nothing more.
NEXT: dict[str, Callable[[Document, int], Iterable[Completion]]] = {
    "values": _values,
    "registers": _registers,
    "gates": _gates,
    "layers": _layers,
    "words": lambda document, offset: (),
}


# --- what they have in common ---------------------------------------------------------------------


def _named(document: Document, offset: int, fits: Callable[[Symbol], bool]) -> Iterator[Completion]:
    for s in visible(document, offset).values():
        if fits(s):
            yield Completion(s.name, "name", document.fact(_place(s)) or s.word)


def _items(document: Document, kinds: tuple[type, ...], all: bool = True) -> Iterator[Completion]:
    """Of this file and drawn in; `all`: installed ones too, with what has to be drawn in."""
    for name, item in document.module.items.items():
        if isinstance(item, kinds):
            yield Completion(name, "item", hover.signature(item), getattr(item, "doc", ""))
    known = set(document.module.items)
    for name in document.module.uses:
        thing = document.module.item(name)
        if thing is not None and isinstance(thing, kinds):
            known.add(name)
            yield Completion(name, "item", hover.signature(thing), getattr(thing, "doc", ""))
    for full, other in _installed().items() if all else ():
        if isinstance(other, kinds) and other.name not in known:
            yield _definition(other.name, other, full)


def _definition(text: str, item: ast.Definition, use: str = "") -> Completion:
    return Completion(text, "item", hover.signature(item), item.doc, use)


def word(word: str) -> Completion:
    known = hover.WORDS[word]
    line = known.role in ("item", "declaration", "statement") or word == "measure"
    return Completion(f"{word} " if line else word, "keyword", known.meaning)


def _place(symbol: Symbol) -> Span:
    assert symbol.place is not None  # lines have declared it
    return symbol.place


@lru_cache(maxsize=1)
def _installed() -> dict[str, ast.Definition]:
    return dict(installed(Library()))

"""What a file is made of, for a list beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from qrlang.check.written.declared import declared_names
from qrlang.check.written.spans import header, place_of
from qrlang.editor.document import Document
from qrlang.source import Span
from qrlang.syntax import ast

_WORDS: dict[type, str] = {
    ast.Model: "model", ast.Ansatz: "ansatz", ast.ReadoutDef: "readout", ast.Circuit: "circuit",
    ast.Hamiltonian: "hamiltonian", ast.Extern: "extern", ast.Const: "const", ast.Let: "let",
    ast.AnsatzBinding: "ansatz", ast.Train: "train", ast.Govern: "govern", ast.Input: "input",
    ast.Target: "target", ast.Qubits: "qubits", ast.Readout: "readout", ast.Param: "param",
    ast.Carry: "carry", ast.Step: "step", ast.Recurrent: "recurrent",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    name: str
    word: str
    span: Span  # all of it
    place: Span  # its name
    inside: tuple[Entry, ...] = ()


def outline(document: Document) -> list[Entry]:
    return list(_entries(i for i in document.file.items if not isinstance(i, ast.Use)))


def _entries(nodes: Iterable[ast.Node]) -> Iterator[Entry]:
    for node in nodes:
        word = node.kind if isinstance(node, ast.Layer) else _WORDS.get(type(node))
        if word is None or isinstance(node, ast.Let):
            continue
        body = node.body if isinstance(node, (ast.Model, ast.Recurrent, ast.Step)) else ()
        for name in _names(node):
            # A half-written one has no name yet; editors take none without.
            place = (place_of(name, node.span) if name else None) or header(node)
            yield Entry(name or word, word, node.span, place, tuple(_entries(body)))


def _names(node: ast.Node) -> list[str]:
    if isinstance(node, (ast.Train, ast.Govern)):
        return [node.model]
    if isinstance(node, ast.Step):
        return [", ".join(node.items) or "step"]
    return declared_names(node) if isinstance(node, ast.Stmt) else [str(getattr(node, "name", ""))]

"""What comes next on a line, read off what stands before on it: the line may be half written."""

from __future__ import annotations

import re

from qrlang.check.written.gates import gate_spec
from qrlang.gates import CHANNELS
from qrlang.grammar.keywords import KEYWORDS

MODIFIERS = tuple(k.word for k in KEYWORDS if k.role == "modifier")
_MODIFIED = rf"((?:{'|'.join(MODIFIERS)})\s*(?:\([^()]*\)\s*)?@\s*)"
_LAYERS = ("layer", "controller", "attention")
_NEW = re.compile(  # a name that is made here
    r"\s*(let|const|input|target|(qubits|step)( .*,)?|readout|ansatz|hamiltonian|circuit|model"
    r"|param|carry|recurrent|extern\s+layer|(frozen\s+)?(layer|controller|attention))\s+$"
)
_HEAD = re.compile(r"\s*(model|ansatz|readout|hamiltonian|circuit|extern\s+layer)\s+\w+\b[^=]*$")
_OPERANDS = re.compile(rf"\s*{_MODIFIED}*(\w+)\s*(\(.*\))?\s+([^()]+,\s*)?$")
_ENDED = re.compile(r"(\w+|[\])])\s+$")  # a value, or a word
_WORDS = frozenset(k.word for k in KEYWORDS if k.reserved)
_KNOWN = frozenset(k.word for k in KEYWORDS)
_STATEMENTS = ("let", "emit", "return", "apply", "prepare", "reset", "postselect")
_BEGINS = re.compile(r"\s+(\w+)\b")
_AFTER: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"apply\b.*\bto\b", ()),
    (r"apply\b.*\bfor\b.*\btrotter\b", ("to",)),
    (r"apply\b.*\bfor\b", ("to", "trotter")),
    (r"apply\b", ("to", "for")),
    (r"prepare\b", ("on",)),
    (r"(for|step) [\w, ]+$", ("in",)),
    (r"step\b", ("then",)),
    (r"recurrent\b", ("over",)),
    (r"readout\b.*=", ("shots", "weak")),
    (r".*\bread\s+[\w.]+\s*$", ("over", "and", "or", "div")),
    (r".*\[.*\bfor\b.*\.\.", ("by", "if")),
    (r".*\[.*\bfor\s+\w+\s+$", ("in",)),
    (r".*\[", ("for", "div")),
    (r"for\b.*\.\.", ("by",)),
    (r"frozen\b|param\b|carry\b|input\b|target\b|qubits\b", ()),
)


def expected(at: str) -> tuple[str, tuple[str, ...]]:
    """Of a line as far as the word that is being written: values, registers, gates, layers, or only
    the words that are given along; a name that is new is none of these."""
    at = _last(at)
    line = at.strip()
    if _NEW.match(at) or (re.search(r"\bfor\s+$", at) and not line.startswith("apply")):
        return "words", ()
    if line in ("extern", "frozen"):
        return "words", ("layer",) if line == "extern" else _LAYERS
    if _HEAD.match(at) and not re.search(r"\[[^\]]*$", at):
        name = re.search(r"[(,]\s*$|\b(on|with)\s+$", at)
        return "words", () if name else ("on", "with")
    if re.match(rf"\s*{_MODIFIED}+$", at):
        return "gates", MODIFIERS
    if re.match(rf"\s*({'|'.join(MODIFIERS)})\s+$", at):
        return "words", ()
    if line == "init":
        return "layers", ()
    if re.search(r"\bmeasure\s+$", at) or line == "postselect":
        return "registers", ()
    if re.match(r"\s*(apply\b.*\bto|reset|prepare\b.*\bon)\s+([\w\[\].]+,\s*)*$", at):
        return "registers", ()
    found = _OPERANDS.match(at)
    if found is not None and (found[2] in CHANNELS or gate_spec(found[2]) is not None):
        return "registers", ()
    ended = _ENDED.search(at)
    if ended is not None and ended[1] not in _WORDS:
        for begins, words in _AFTER:
            if re.match(begins, at.lstrip()):
                return "words", words
        return "words", ("and", "or", "div")
    return "values", ("read", "measure", "not", "true", "false")


def _last(at: str) -> str:
    """Of several statements: `h q[i]  rz(x[i]) q[i]`. Where one thing follows another."""
    for m in reversed([*_BEGINS.finditer(at)]):
        before = at[: m.start()]
        ended = _ENDED.search(f"{before} ")
        begins = m[1] in _STATEMENTS or m[1] in CHANNELS or gate_spec(m[1]) is not None
        closed = all(before.count(a) == before.count(b) for a, b in ("[]", "()"))
        if begins and closed and ended is not None and ended[1] not in _KNOWN:
            return at[m.start() :]
    return at

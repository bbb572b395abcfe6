"""The one table of words: the grammar, the lexer, hover texts and highlighters are made from it.

A *reserved* word is never a name. A word that is not reserved is a keyword only where the grammar
has a place for it, and a name everywhere else: `target` declares a column at the start of a
statement and is an ordinary register in `cx control, target`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# item: starts something at the top of a file. declaration, statement: start a line of a body.
# clause: a word inside one of those. operator, constant, modifier: parts of expressions and gates.
# type: names of types; known to the checker, listed here for highlighters and hover.
Role = Literal[
    "item", "declaration", "statement", "clause", "operator", "constant", "modifier", "type"
]


@dataclass(frozen=True, slots=True)
class Keyword:
    word: str
    role: Role
    meaning: str
    reserved: bool = True

    @property
    def terminal(self) -> str:
        """Its name in the grammar."""
        return self.word.upper()


def _soft(word: str, role: Role, meaning: str) -> Keyword:
    return Keyword(word, role, meaning, reserved=False)


KEYWORDS: tuple[Keyword, ...] = (
    Keyword("use", "item", "brings names of another file in"),
    Keyword("const", "item", "a value known at compile time"),
    Keyword("ansatz", "item", "a circuit whose angles come from outside"),
    Keyword("readout", "item", "what is read out of a register, as expectation values"),
    Keyword("hamiltonian", "item", "an observable to evolve under or to read"),
    Keyword("circuit", "item", "a circuit used as a layer: fresh qubits at every call"),
    Keyword("extern", "item", "a layer written in Python"),
    Keyword("model", "item", "a recurrent model, written for one sequence and one moment"),
    Keyword("train", "item", "how a model is trained"),
    Keyword("govern", "item", "the bounds within which training may change a model"),
    _soft("input", "declaration", "a column of the data that the model is given"),
    _soft("target", "declaration", "a column of the data that the model should predict"),
    Keyword("qubits", "declaration", "registers of qubits, and how they start"),
    Keyword("controller", "declaration", "a classical layer that makes angles"),
    _soft("layer", "declaration", "a classical layer, or a circuit used as one"),
    _soft("attention", "declaration", "a layer that looks at all values emitted so far"),
    _soft("param", "declaration", "a trained tensor"),
    Keyword("frozen", "declaration", "a tensor or layer that is never trained"),
    Keyword("carry", "declaration", "a classical value kept from step to step"),
    _soft("init", "declaration", "the initial value of a layer's tensor"),
    Keyword("recurrent", "declaration", "a recurrence over a sequence, with state of its own"),
    Keyword("step", "declaration", "what happens at each moment of the sequence"),
    Keyword("let", "statement", "names a value"),
    Keyword("emit", "statement", "hands a value out at this step"),
    Keyword("return", "statement", "hands a value out at the end"),
    Keyword("apply", "statement", "applies an ansatz, an evolution or a unitary to registers"),
    Keyword("prepare", "statement", "puts qubits into a given state"),
    Keyword("reset", "statement", "discards qubits and starts them afresh in |0⟩"),
    Keyword("postselect", "statement", "keeps only the runs with this outcome"),
    Keyword("require", "statement", "a condition checked at compile time"),
    Keyword("for", "statement", "a loop, unrolled at compile time; a clause of a list"),
    Keyword("if", "statement", "a choice: by a measured bit, or at compile time"),
    Keyword("else", "statement", "the other branch of `if`"),
    Keyword("read", "operator", "an expectation value; does not disturb the state"),
    Keyword("measure", "operator", "a projective measurement; collapses the state"),
    Keyword("and", "operator", "both hold"),
    Keyword("or", "operator", "at least one holds"),
    Keyword("not", "operator", "does not hold"),
    _soft("div", "operator", "the whole quotient, rounded down (`//` starts a comment)"),
    Keyword("in", "clause", "what a loop or a step runs over"),
    Keyword("on", "clause", "the registers that a definition acts on"),
    Keyword("to", "clause", "the registers that `apply` acts on"),
    Keyword("over", "clause", "the sequence of a recurrence; the moments of a `read`"),
    Keyword("with", "clause", "the angles that an ansatz is given"),
    _soft("as", "clause", "another name"),
    _soft("by", "clause", "the stride of a range"),
    _soft("then", "clause", "further steps after the sequence has ended"),
    _soft("last", "clause", "how many of the latest moments"),
    _soft("shots", "clause", "how many runs estimate the readout"),
    _soft("weak", "clause", "a weak measurement, and its strength"),
    _soft("trotter", "clause", "how many Trotter slices"),
    _soft("inv", "modifier", "the inverse of the gate"),
    _soft("ctrl", "modifier", "the gate, controlled by qubits that are 1"),
    _soft("negctrl", "modifier", "the gate, controlled by qubits that are 0"),
    _soft("pow", "modifier", "the gate, this many times"),
    Keyword("true", "constant", "the condition that always holds"),
    Keyword("false", "constant", "the condition that never holds"),
    _soft("seq", "type", "a sequence: one value for each moment"),
)

# Names with a meaning in type position. Not keywords: the grammar does not know them.
TYPES: tuple[Keyword, ...] = (
    _soft("int", "type", "a whole number known at compile time"),
    _soft("real", "type", "a real number, or a tensor of them"),
    _soft("bool", "type", "true or false, at compile time"),
    _soft("string", "type", "text, at compile time"),
    _soft("angle", "type", "a tensor of rotation angles"),
    _soft("token", "type", "one of `v` symbols"),
    _soft("class", "type", "one of `c` classes"),
    _soft("bit", "type", "the outcome of a measurement"),
    _soft("qubit", "type", "a register of qubits"),
)

RESERVED: frozenset[str] = frozenset(k.word for k in KEYWORDS if k.reserved)

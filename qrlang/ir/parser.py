"""From text back to a program. What the text means is not checked here: `verify.py` does that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qrlang.gates import GATES, SUGAR
from qrlang.ir import codecs as c
from qrlang.ir.forms import BY_KEYWORD
from qrlang.ir.functions import FUNCTIONS
from qrlang.ir.program import (
    Angle,
    Diagonal,
    Element,
    Extern,
    Gate,
    If,
    Initial,
    Loop,
    LoopCarry,
    LoopEmit,
    LoopItem,
    Op,
    Output,
    Permutation,
    Pointwise,
    Program,
    Register,
    Run,
    Unitary,
    Value,
    Weight,
)
from qrlang.ir.reader import Reader

_DEEPEST = 100  # blocks inside blocks


def parse_program(text: str) -> Program:
    """Raises `IRSyntaxError`."""
    return Parser(text).program()


class Parser(Reader):
    """Declarations, ops and the elements of unitary segments."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    # --- the program ----------------------------------------------------------------------------

    def program(self) -> Program:
        self.expect("program")
        name = self.name()
        settings = self.clause("", Parser.setting)
        self.expect("{")
        found: dict[str, list[Any]] = {}
        declarations: dict[str, Callable[[], Any]] = {
            "input": self.definition,
            "target": self.definition,
            "extern": self._extern,
            "qubits": self._register,
        }
        while True:
            word = self.token.text
            if word == "weight" or (word in declarations and self.token.kind == "name"):
                self.advance()
                read = self._weight if word == "weight" else declarations[word]
                found.setdefault(word, []).append(read())
            else:
                break
        body = self._ops()
        outputs = []
        while self.take("return"):
            output = ""
            if self.token.kind != "value":
                output = self.name()
                self.expect("=")
            outputs.append(Output(output, self.value()))
        self.expect("}")
        if self.token.kind != "end":
            self.fail(f"expected the end of the text, found {self.token.text!r}")
        return Program(
            name,
            settings,
            tuple(found.get("input", ())),
            tuple(found.get("target", ())),
            tuple(found.get("weight", ())),
            tuple(found.get("extern", ())),
            tuple(found.get("qubits", ())),
            body,
            tuple(outputs),
        )

    def _weight(self) -> Weight:
        name = self.weight()
        self.expect(":")
        self.expect("real")
        shape = self.dims()
        self.expect("=")
        initial = Initial(self.name(), self.clause("", Parser.signed_float))
        trained = not self.take("frozen")
        return Weight(name, shape, initial, trained, self.integer() if self.take("unitary") else 0)

    def _extern(self) -> Extern:
        name = self.name()
        self.expect(":")
        self.expect("(")
        inputs = () if self.token.text == ")" else self.listed(Parser.type)
        self.expect(")")
        self.expect("->")
        result = self.type()
        self.expect("=")
        return Extern(name, self.string(), self.clause("", Parser.setting), inputs, result)

    def _register(self) -> Register:
        name = self.name()
        self.expect("[")
        size = self.integer()
        self.expect("]")
        self.expect("at")
        start = c.read_qubit(self)
        return Register(name, start, size, self.integer() if self.take("space") else 0)

    # --- ops ------------------------------------------------------------------------------------

    def _ops(self) -> tuple[Op, ...]:
        found: list[Op] = []
        while self.token.text not in ("}", "return", "end of text"):
            found.append(self._op())
        return tuple(found)

    def _block(self) -> tuple[Op, ...]:
        self.expect("{")
        self._depth += 1
        if self._depth > _DEEPEST:
            self.fail(f"more than {_DEEPEST} blocks inside each other")
        found = self._ops()
        self._depth -= 1
        self.expect("}")
        return found

    def _op(self) -> Op:
        if self.token.kind == "value":
            # The value counts as defined only after its op, so that it cannot use itself.
            out = self.definition()
            del self._types[out.id]
            self.expect("=")
            op = self._plain(out)
            self._types[out.id] = out.type
            return op
        if self.take("unitary"):
            self.expect("{")
            elements = []
            while not self.take("}"):
                elements.append(self._element())
            return Unitary(tuple(elements))
        if self.take("if"):
            condition, index = c.read_element(self)
            then = self._block()
            return If(condition, index, then, self._block() if self.take("else") else ())
        if self.take("loop"):
            return self._loop()
        return self._plain(None)

    def _plain(self, out: Value | None) -> Op:
        word = self.kind("name", "an op").text
        form = BY_KEYWORD.get(word)
        if form is None and word in FUNCTIONS and out is not None:
            return Pointwise(out, word, c.ARGUMENTS.read(self))
        if form is None or form.has_result != (out is not None):
            self._at -= 1
            kind = "op with" if out is not None else "op without"
            self.fail(f"no {kind} a result is called {word!r}")
        kwargs: dict[str, Any] = {} if out is None else {"out": out}
        for part in form.parts:
            if part.optional:
                if not self.take(part.lead):
                    continue
            elif part.lead:
                self.expect(part.lead)
            part.set(kwargs, part.codec.read(self))
        return form.op(**kwargs)

    def _loop(self) -> Loop:
        name = self.name()
        items = self.clause("", Parser._loop_item)
        starts = self.clause("carry", Parser._carry_start)
        extra = self.integer() if self.take("extra") else 0
        flag = self.definition() if self.take("flag") else None
        body = self._block()
        ends = self.clause("next", Parser._bound)
        if len(starts) != len(ends):
            self.fail(f"{len(starts)} values in carry(…), {len(ends)} in next(…)")
        carries = tuple(
            LoopCarry(initial, arg, value, out)
            for (arg, initial), (out, value) in zip(starts, ends, strict=True)
        )
        emits = self.clause("emit", Parser._emit)
        return Loop(name, items, carries, body, emits, extra, flag)

    def _loop_item(self) -> LoopItem:
        item = self.definition()
        self.expect("in")
        return LoopItem(self.value(), item)

    def _carry_start(self) -> tuple[Value, Value]:
        return self._bound()

    def _bound(self) -> tuple[Value, Value]:
        """`%new.2 : type = %old.1`."""
        new = self.definition()
        self.expect("=")
        return new, self.value()

    def _emit(self) -> LoopEmit:
        name = self.name()
        out, value = self._bound()
        return LoopEmit(name, value, out)

    # --- elements of a unitary segment ----------------------------------------------------------

    def _element(self) -> Element:
        if self.take("run"):
            qubit = c.read_qubit(self)
            self.expect("{")
            gates = []
            while not self.take("}"):
                gates.append(self._gate())
            return Run(qubit, tuple(gates))
        if self.take("diagonal"):
            self.expect("{")
            terms: list[tuple[tuple[int, ...], Angle]] = []
            while not self.take("}"):
                self.expect("rz")
                self.expect("(")
                angle = c.read_angle(self)
                self.expect(")")
                terms.append((c.read_qubits(self), angle))
            return Diagonal(tuple(terms))
        if self.take("permutation"):
            return self._permutation()
        return self._gate()

    def _gate(self) -> Gate:
        controls, zeros = c.CONTROLS.read(self) if self.take("ctrl") else ((), ())
        name = self.kind("name", "a gate").text
        if name not in GATES and name not in SUGAR:
            self._at -= 1
            self.fail(f"no gate is called {name!r}")
        base, more = (name, 0) if name in GATES else SUGAR[name]
        angles = c.ANGLES.read(self) if self.token.text == "(" else ()
        qubits = c.QUBITS.read(self)
        return Gate(base, qubits[more:], angles, controls + qubits[:more], zeros)

    def _permutation(self) -> Permutation:
        self.expect("{")
        rows: list[tuple[int, bool, tuple[int, ...]]] = []
        if self.token.text != "}":
            rows.extend(self.listed(Parser._permuted))
        self.expect("}")
        qubits = tuple(q for q, _, _ in rows)
        places = {q: i for i, q in enumerate(qubits)}
        masks = []
        for _, _, sources in rows:
            if not set(sources) <= set(qubits):
                self.fail("a permutation reads a qubit that it does not write")
            masks.append(sum(1 << places[q] for q in sources))
        flips = sum(1 << i for i, (_, flip, _) in enumerate(rows) if flip)
        return Permutation(qubits, tuple(masks), flips)

    def _permuted(self) -> tuple[int, bool, tuple[int, ...]]:
        qubit = c.read_qubit(self)
        self.expect("=")
        if self.take("0"):
            return qubit, False, ()
        flip = self.take("1")
        sources: list[int] = []
        if not flip or self.take("^"):
            sources.append(c.read_qubit(self))
            while self.take("^"):
                sources.append(c.read_qubit(self))
        return qubit, flip, tuple(sources)

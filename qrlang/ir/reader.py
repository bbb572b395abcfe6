"""Tokens of the IR's text one after the other, and the small things that ops are made of: names,
numbers, types, values, each of which has to be defined before it is used."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NoReturn, Self, TypeVar

from qrlang.ir.lexer import IRSyntaxError, Token, position, tokens
from qrlang.ir.program import Value
from qrlang.ir.types import KINDS, Type

T = TypeVar("T")


class Reader:
    """The tokens, where we are in them, and the values defined so far."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._at = 0
        self._types: dict[int, Type] = {}

    # --- tokens ---------------------------------------------------------------------------------

    @property
    def token(self) -> Token:
        return self._tokens[self._at]

    def advance(self) -> Token:
        token = self.token
        if token.kind != "end":
            self._at += 1
        return token

    def fail(self, message: str) -> NoReturn:
        raise IRSyntaxError(message, *position(self._text, self.token.at))

    def take(self, text: str) -> bool:
        """Whether this symbol or keyword is next; then it is read."""
        if self.token.text == text and self.token.kind not in ("string", "end"):
            self._at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.take(text):
            self.fail(f"expected {text!r}, found {self.token.text!r}")

    def kind(self, kind: str, what: str) -> Token:
        if self.token.kind != kind:
            self.fail(f"expected {what}, found {self.token.text!r}")
        return self.advance()

    def listed(self, one: Callable[[Self], T]) -> tuple[T, ...]:
        """`a, b, c`."""
        found = [one(self)]
        while self.take(","):
            found.append(one(self))
        return tuple(found)

    def clause(self, keyword: str, one: Callable[[Self], T]) -> tuple[T, ...]:
        """`keyword(a, b, c)`, or nothing."""
        if keyword and not self.take(keyword):
            return ()
        if not keyword and self.token.text != "(":
            return ()
        self.expect("(")
        found = self.listed(one)
        self.expect(")")
        return found

    # --- small things ---------------------------------------------------------------------------

    def name(self) -> str:
        if self.token.kind == "string":
            return self.string()
        return self.kind("name", "a name").text

    def string(self) -> str:
        try:
            found = json.loads(self.kind("string", "a string").text)
        except ValueError as error:
            self._at -= 1
            self.fail(f"not a string: {error}")
        return str(found)

    def at_number(self) -> bool:
        return self.token.kind == "number" or self.token.text in ("inf", "nan")

    def unsigned_float(self) -> float:
        if not self.at_number():
            self.fail(f"expected a number, found {self.token.text!r}")
        return float(self.advance().text)

    def signed_float(self) -> float:
        negative = self.take("-")
        number = self.unsigned_float()
        return -number if negative else number

    def integer(self) -> int:
        negative = self.take("-")
        token = self.kind("number", "a whole number")
        if not token.text.isdecimal():
            self._at -= 1
            self.fail(f"expected a whole number, found {token.text}")
        return -int(token.text) if negative else int(token.text)

    def weight(self) -> str:
        self.expect("@")
        return self.name()

    def value(self) -> Value:
        """A value that is defined already."""
        token = self.kind("value", "a value such as %x.1")
        name, _, number = token.text[1:].rpartition(".")
        if int(number) not in self._types:
            self._at -= 1
            self.fail(f"{token.text} is not defined before this")
        return Value(int(number), self._types[int(number)], name)

    def definition(self) -> Value:
        """`%x.1 : real[3]`."""
        token = self.kind("value", "a value such as %x.1")
        name, _, number = token.text[1:].rpartition(".")
        self.expect(":")
        kind = self.type()
        if int(number) in self._types:
            self._at -= 1
            self.fail(f"%{number} is defined twice")
        self._types[int(number)] = kind
        return Value(int(number), kind, name)

    def type(self) -> Type:
        if self.take("seq"):
            self.expect("[")
            if self.token.text == "seq":
                self.fail("a sequence of sequences is not a type")
            item = self.type()
            self.expect("]")
            return Type(item.kind, item.shape, item.size, seq=True)
        kind = self.kind("name", "a type").text
        if kind not in KINDS:
            self._at -= 1
            self.fail(f"no type is called {kind!r}")
        dims = self.dims()
        if kind in ("real", "bit"):
            return Type(kind, dims)
        if len(dims) != 1:
            self.fail(f"{kind} takes one size")
        return Type(kind, (), dims[0])

    def dims(self) -> tuple[int, ...]:
        dims: tuple[int, ...] = ()
        if self.take("["):
            dims = self.listed(Reader.integer)
            self.expect("]")
        return dims

    def setting(self) -> tuple[str, int | float | bool | str]:
        name = self.name()
        self.expect("=")
        if self.token.kind == "string":
            return name, self.string()
        for text, value in (("true", True), ("false", False)):
            if self.take(text):
                return name, value
        whole = self._tokens[self._at + (self.token.text == "-")].text.isdecimal()
        return name, self.integer() if whole else self.signed_float()

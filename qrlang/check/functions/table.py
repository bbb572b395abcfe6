"""What a function of the language is: how many arguments it takes, and what it makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qrlang.check.binding.arguments import Args
from qrlang.check.core.elaborator import Elaborator
from qrlang.diagnostics.words import did_you_mean
from qrlang.syntax import ast

Given = list[tuple[ast.Expr, object]]
Handler = Callable[[Elaborator, ast.Call, Given], object]
MANY = 100_000


@dataclass(frozen=True, slots=True)
class Function:
    """A function of `least` to `most` arguments; those in `named` may be given by name, and come
    after the others."""

    name: str
    least: int
    most: int
    named: tuple[str, ...]
    doc: str
    handler: Handler

    def __call__(self, e: Elaborator, node: ast.Call, args: Args) -> object:
        name, least, most, doc = self.name, self.least, self.most, self.doc
        given = list(args.positional)
        for key, (arg, value) in args.named.items():
            if key not in self.named:
                return e.error(
                    "E0302",
                    arg,
                    f"`{name}` has no argument `{key}`",
                    help=did_you_mean(key, self.named) or doc,
                )
            place = most - len(self.named) + self.named.index(key)
            if len(given) != place:
                return e.error("E0302", arg, f"`{key}` of `{name}` is out of order", help=doc)
            given.append((arg.value, value))
        if not least <= len(given) <= most:
            expected = str(least) if least == most else f"{least} to {most}"
            if most > 1000:
                expected = f"at least {least}"
            return e.error(
                "E0301",
                node,
                f"`{name}` takes {expected} "
                f"{'argument' if expected == '1' else 'arguments'}, found {len(given)}",
                help=doc,
            )
        return self.handler(e, node, given)


class Functions(dict[str, Function]):
    """Functions by name."""

    def define(self, name: str, least: int, most: int, doc: str, handler: Handler) -> None:
        self[name] = Function(name, least, most, (), doc, handler)

    def function(
        self,
        name: str,
        least: int,
        most: int | None = None,
        named: tuple[str, ...] = (),
        *,
        doc: str,
    ) -> Callable[[Handler], Handler]:
        def decorate(handler: Handler) -> Handler:
            self[name] = Function(name, least, most or least, named, doc, handler)
            return handler

        return decorate

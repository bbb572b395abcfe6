"""What stands above the classes: circuits and observables, each written once."""

from __future__ import annotations

from qrlang.backends.emit.names import Names
from qrlang.backends.torch.circuits.text import number, write
from qrlang.backends.torch.emit.layout import fit
from qrlang.ir.program import Observable, PauliString


class Constants:
    def __init__(self, names: Names) -> None:
        self.names = names
        self.blocks: list[list[str]] = []
        self._known: dict[object, str] = {}

    def circuit(
        self, elements: tuple[object, ...], n: int, local: dict[int, int],
        vectors: dict[int, str], state: str,
    ) -> str:  # fmt: skip
        lines = write(elements, lambda v: vectors[v.id], local)  # type: ignore[arg-type]
        key = (n, tuple(lines))
        if key not in self._known:
            name = self.names.free(f"{state}_circuit".upper())
            self._known[key] = name
            body = ["    " + line for line in lines]
            self.blocks.append(
                [f"{name} = qr.circuit(", f"    {n},", '    """', *body, '    """,', ")"]
            )
        return self._known[key]

    def observables(
        self, observables: tuple[Observable, ...], n: int, local: dict[int, int], wanted: str,
        settings: tuple[tuple[int, ...], ...] = (),
    ) -> str:  # fmt: skip
        texts = tuple(observable_text(o, local) for o in observables)
        key = ("observables", n, texts, settings)
        if key not in self._known:
            name = self.names.free(wanted.upper())
            self._known[key] = name
            quoted = ", ".join(f'"{t}"' for t in texts)
            own = f", settings={settings}" if settings else ""
            self.blocks.append(fit(f"{name} = qr.observables({n}, {quoted}{own})", 0))
        return self._known[key]

    def strings(self, strings: tuple[PauliString, ...], state: str) -> str:
        key = ("strings", strings)
        if key not in self._known:
            name = self.names.free(f"{state}_terms".upper())
            self._known[key] = name
            quoted = ", ".join(f'"{_string(s, None) or "I"}"' for s in strings)
            self.blocks.append(fit(f"{name} = qr.paulis({quoted})", 0))
        return self._known[key]


def _string(string: PauliString, local: dict[int, int] | None) -> str:
    return " ".join(f"{letter}{q if local is None else local[q]}" for q, letter in string)


def observable_text(observable: Observable, local: dict[int, int]) -> str:
    parts: list[str] = []
    for factor, string in observable:
        size = abs(factor)
        word = _string(string, local)
        text = word or number_text(size)
        if word and size != 1:
            text = f"{number_text(size)} {word}"
        sign = "-" if factor < 0 else "+"
        parts.append(f"{sign} {text}" if parts else f"-{text}" if factor < 0 else text)
    return " ".join(parts) if parts else "0"


def number_text(x: float) -> str:
    return number(x) if x == int(x) else repr(x)

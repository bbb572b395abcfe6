"""How many angles an ansatz takes, read off its declaration."""

from __future__ import annotations

from qrlang.syntax import ast


def angle_count_formula(item: ast.Ansatz) -> str:
    """How many angles an ansatz takes, as text: `3*n*layers`; `0` if none."""
    terms = []
    for p in item.values:
        if p.type.name not in ("angle", "real"):
            continue
        widths = [r.size.id for r in item.registers if isinstance(r.size, ast.Name)]
        number, names, rest = 1, [], []
        for d in p.type.dims:
            if isinstance(d, ast.Int):
                number *= d.value
            elif isinstance(d, ast.Name):
                names.append(d.id)
            elif isinstance(d, ast.Hole):
                rest.append("?")
            else:
                text = " ".join(d.span.text.split())
                plain = isinstance(d, ast.Call) or (
                    isinstance(d, ast.Binary) and d.op in ("*", "**")
                )
                rest.append(text if plain or len(p.type.dims) == 1 else f"({text})")
        names.sort(key=lambda name: name not in widths)
        parts = ([str(number)] if number != 1 or not (names or rest) else []) + names + rest
        terms.append("*".join(parts))
    return " + ".join(terms) if terms else "0"

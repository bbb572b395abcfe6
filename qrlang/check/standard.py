"""The standard library: where it is, and what lies in which of its files."""

from __future__ import annotations

import os
from pathlib import Path

_STANDARD: dict[str, str] = {}


def standard_folder() -> Path:
    import qrlang.stdlib

    return Path(os.path.dirname(os.path.abspath(str(qrlang.stdlib.__file__))))


def standard_items() -> dict[str, str]:
    """Name -> path for `use`, of everything in the standard library. Reads only what it must."""
    if not _STANDARD:
        import re

        root = standard_folder()
        pattern = re.compile(r"^(?:ansatz|readout|hamiltonian|circuit) (\w+)", re.M)
        for path in sorted(root.rglob("*.qrl")):
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            parts = path.relative_to(root).with_suffix("").parts
            for name in pattern.findall(text):
                _STANDARD.setdefault(name, ".".join(("std", *parts, name)))
    return _STANDARD


def library_hint(name: str) -> str:
    """Where the standard library has an item of this name."""
    where = standard_items().get(name)
    return f"it is in the library: `use {where}`" if where else ""

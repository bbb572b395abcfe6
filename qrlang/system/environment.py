"""Environment variables that qrlang reads: one place that knows what their values may be."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence

from qrlang.errors import UserError

VECTORS = ("portable", "avx2", "avx512")
COMPILE = ("inside",)
MOST_THREADS = 4096
NAMES = ("THREADS", "VECTORS", "CACHE_DIR", "CACHE", "COMPILE", "CUDA_GRAPH", "DATA", "OFFLINE")
_ON, _OFF = ("1", "on", "yes", "true"), ("0", "off", "no", "false")


class WrongEnvironment(UserError):
    def __init__(self, name: str, why: str, help: str) -> None:
        said = f"the environment variable {name} is `{os.environ.get(name)}`: {why}"
        super().__init__(said, help)


def check() -> None:
    """Everything at once, before anything is begun that would have to be thrown away."""
    _names()
    threads()
    word("QRLANG_VECTORS", VECTORS)
    word("QRLANG_COMPILE", COMPILE)
    for name in ("QRLANG_CACHE", "QRLANG_OFFLINE", "QRLANG_CUDA_GRAPH"):
        flag(name)


def _names() -> None:
    """A name a letter off would be obeyed by nobody."""
    for name in os.environ:
        word = name.removeprefix("QRLANG_")
        if word != name and word not in NAMES:
            close = difflib.get_close_matches(word, NAMES, n=1, cutoff=0.8)
            if close:
                meant = f"did you mean QRLANG_{close[0]}? else unset it"
                raise WrongEnvironment(name, "nothing reads a variable of this name", meant)


def threads() -> int:
    """QRLANG_THREADS; 0 if it is not set."""
    said = os.environ.get("QRLANG_THREADS", "").strip()
    if not said:
        return 0
    if not (said.isascii() and said.isdigit() and 0 < int(said) <= MOST_THREADS):
        raise WrongEnvironment(
            "QRLANG_THREADS",
            f"it has to be a whole number from 1 to {MOST_THREADS}",
            "for example QRLANG_THREADS=2, or unset it: then there are as many as are worth it",
        )
    return int(said)


def flag(name: str, usual: bool = False) -> bool:
    said = os.environ.get(name, "").strip().lower()
    if said in _ON or said in _OFF:
        return said in _ON
    if said:
        raise WrongEnvironment(name, "it has to be 1 or 0", f"{name}=1, {name}=0, or unset it")
    return usual


def word(name: str, words: Sequence[str]) -> str:
    """One of some words; "" if it is not set."""
    said = os.environ.get(name, "").strip()
    if said and said not in words:
        listed = ", ".join(f"`{w}`" for w in words)
        raise WrongEnvironment(name, f"there is no such choice: {listed}", f"{name}={words[0]}, "
                               "or unset it")  # fmt: skip
    return said

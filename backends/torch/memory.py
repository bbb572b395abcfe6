"""A program as a module in memory: its emitted text, compiled. The same text as in the file."""

from __future__ import annotations

import linecache
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

from qrlang.backends.torch.emit import emit_program
from qrlang.backends.torch.emit.fingerprint import fingerprint
from qrlang.ir.program import Program

# One thread at a time: another is not to find half a module, nor torch's default precision changed.
# The same thread again: a program's layers in Python may load programs of their own.
making = threading.RLock()


def model_class(program: Program) -> Callable[..., Any]:
    """The class that the emitted file defines."""
    text = emit_program(program)
    name = f"qrlang_loaded_{fingerprint(text)}"
    with making:
        module = sys.modules.get(name) or _made(program, name, text)
    from qrlang.backends.torch.model import Model

    return next(
        cls
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, Model) and cls.__module__ == name
    )


def _made(program: Program, name: str, text: str) -> types.ModuleType:
    module = types.ModuleType(name, f"{program.name}, loaded by qrlang")
    file = f"<{name}>"
    module.__file__ = file
    # Tracebacks and `inspect` show the lines, and pickle finds the class.
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    sys.modules[name] = module
    try:
        exec(compile(text, file, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]  # a layer in Python is not there, or broken: half a module
        raise
    return module

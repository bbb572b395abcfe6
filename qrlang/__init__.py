"""qrlang: a language and compiler for recurrent quantum models."""

import os as _os
from typing import Any as _Any

if __name__ != "qrlang":  # the fall-back below would also offer a second copy, qrlang.qrlang
    raise ImportError(f"import this package as 'qrlang', not as {__name__!r}")

from qrlang.loading import load, loads
from qrlang.version import VERSION as __version__

__all__ = ["__version__", "load", "load_ipython_extension", "loads"]

# A wheel has grammar/, backends/ and stdlib/ inside this folder. In a source checkout they lie
# beside it, so the checkout is searched as well; that makes it work with no install at all.
_here = _os.path.dirname(_os.path.abspath(__file__))
if not _os.path.isfile(_os.path.join(_here, "stdlib", "__init__.py")):
    __path__.append(_os.path.dirname(_here))


def load_ipython_extension(shell: _Any) -> None:
    """`%load_ext qrlang`: cells of a notebook that begin with `%%qrl`."""
    from qrlang.notebook import load_ipython_extension as into

    into(shell)

"""qrlang: a language and compiler for recurrent quantum models."""

import os as _os

if __name__ != "qrlang":  # the fall-back below would also offer a second copy, qrlang.qrlang
    raise ImportError(f"import this package as 'qrlang', not as {__name__!r}")

__version__ = "0.1.0"

# A wheel has grammar/, backends/ and stdlib/ inside this folder. In a source checkout they lie
# beside it, so the checkout is searched as well; that makes it work with no install at all.
_here = _os.path.dirname(_os.path.abspath(__file__))
if not _os.path.isfile(_os.path.join(_here, "stdlib", "__init__.py")):
    __path__.append(_os.path.dirname(_here))

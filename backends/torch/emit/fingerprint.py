"""Whether a file still says what the compiler wrote, whatever a formatter did to it."""

from __future__ import annotations

import hashlib
import io
import tokenize

_LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def fingerprint(text: str) -> str:
    """Of the code alone: comments, white space and trailing commas don't count."""
    words = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in _LAYOUT and token.string != ","
    ]
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:16]

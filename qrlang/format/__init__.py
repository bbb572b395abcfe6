"""The formatter."""

from qrlang.format.formatter import format_text

__all__ = ["format_text"]

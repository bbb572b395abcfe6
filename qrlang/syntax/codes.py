"""The codes of what this phase reports. Each has a page in qrlang/diagnostics/pages."""

from __future__ import annotations

CODES: dict[str, str] = {
    "E0101": "something else was expected here",
    "E0102": "a bracket is never closed",
    "E0103": "a closing bracket without its opening one",
    "E0104": "a character that means nothing",
    "E0105": "a text without its end",
    "E0106": "a comment without its end",
    "E0107": "`;` is not needed",
    "E0108": "a word of the language used as a name",
    "E0109": "a misspelt word of the language",
    "E0110": "the wrong one of `=`, `<-`, `:` and `==`",
    "E0111": "an operator of another language",
    "E0112": "a text in single quotes",
    "E0113": "`#` does not start a comment",
    "E0114": "a construct of another language",
    "E0115": "nested too deep",
    "E0116": "a number that is too large",
    "E0117": "a file that is too large",
    "E0118": "too many errors",
    "E0119": "an unknown escape in a text",
    "E0120": "`to`, `on`, `over` or `in` is missing",
    "E0121": "an item in a body",
    "E0122": "a statement outside of any body",
    "E0123": "a chain of comparisons",
    "E0124": "what stands after `on` is no register",
    "E0125": "an argument of a circuit with a default",
    "E0126": "not a number",
    "E0127": "an extern layer without its type",
    "E0128": "`range(…)` instead of `a..b`",
    "E0199": "the formatter refused its own result",
    "W0101": "`//` where a division was meant",
}

# No short program shows these.
WITHOUT_EXAMPLE = frozenset({"E0117", "E0118", "E0199"})

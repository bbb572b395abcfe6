"""The pointwise functions of the IR: name -> number of arguments, and what it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    args: int
    doc: str


FUNCTIONS: dict[str, Function] = {
    f.name: f
    for f in (
        Function("neg", 1, "-x"),
        Function("add", 2, "x + y"),
        Function("sub", 2, "x - y"),
        Function("mul", 2, "x * y"),
        Function("div", 2, "x / y"),
        Function("pow", 2, "x to the power y"),
        Function("minimum", 2, "the smaller"),
        Function("maximum", 2, "the larger"),
        Function("where", 3, "y where x > 0.5, else z"),
        Function("sin", 1, "sine"),
        Function("cos", 1, "cosine"),
        Function("tan", 1, "tangent"),
        Function("asin", 1, "arc sine, of x clamped to [-1, 1]"),
        Function("acos", 1, "arc cosine, of x clamped to [-1, 1]"),
        Function("atan", 1, "arc tangent"),
        Function("exp", 1, "e^x"),
        Function("log", 1, "natural logarithm"),
        Function("sqrt", 1, "square root"),
        Function("abs", 1, "absolute value"),
        Function("sign", 1, "-1, 0 or 1"),
        Function("tanh", 1, "hyperbolic tangent"),
        Function("sigmoid", 1, "1 / (1 + e^-x)"),
        Function("relu", 1, "max(x, 0)"),
        Function("leaky_relu", 1, "x, or x/100 below zero"),
        Function("elu", 1, "x, or e^x - 1 below zero"),
        Function("silu", 1, "x * sigmoid(x)"),
        Function("gelu", 1, "x * Φ(x), Φ the normal distribution (exact, by erf)"),
        Function("softplus", 1, "log(1 + e^x)"),
        Function("identity", 1, "x"),
    )
}

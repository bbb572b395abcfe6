"""Pointwise functions and their derivatives as expressions. `FN(f)` is f of the kernel's type.

In single precision the steep ones have no branches: the library's would cost a step more than the
product before them."""

from __future__ import annotations

import math

SMALL = """
#ifdef QRLANG_EMULATOR
__device__ __forceinline__ F power_of_two(F x) { return exp2f(x); }
__device__ __forceinline__ F inverse(F x) { return 1.f / x; }
#else
__device__ __forceinline__ F power_of_two(F x) {
  F y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ F inverse(F x) {
  F y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
#endif
__device__ __forceinline__ F tangent(F x) {  // hyperbolic
  const F size = fabsf(x), z = x * x;
  const F far = fmaf(-2.f, inverse(1.f + power_of_two(size * 2.885390082f)), 1.f);
  F p = fmaf(1.561263e-2f, z, -5.22118e-2f);
  p = fmaf(p, z, 0.13313117f);
  p = fmaf(p, z, -0.33332598f);
  return size < 0.6f ? fmaf(p * z, x, x) : copysignf(far, x);
}
__device__ __forceinline__ F sigmoid(F x) {
  return inverse(1.f + power_of_two(x * -1.442695041f));
}
"""

LARGE = """
__device__ __forceinline__ F tangent(F x) { return tanh(x); }
__device__ __forceinline__ F sigmoid(F x) { return 0.5 * tanh(0.5 * x) + 0.5; }
"""

_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_PLAIN = ("sin", "cos", "tan", "exp", "log", "sqrt", "atan", "pow")
# Infinite or no number at all at places as ordinary as zero, or their slope is.
UNSAFE = ("div", "exp", "log", "pow", "sqrt", "tan")


def forward(name: str, x: list[str]) -> str:
    a = x[0]
    if name in _INFIX:
        return f"({a} {_INFIX[name]} {x[1]})"
    if name in _PLAIN:
        return f"FN({name})({', '.join(x)})"
    match name:
        case "neg":
            return f"(-{a})"
        case "minimum" | "maximum":
            # NaN in either comes out.
            how = "<" if name == "minimum" else ">"
            return f"({a} {how} {x[1]} || {a} != {a} ? {a} : {x[1]})"
        case "where":
            return f"({a} > F(0.5) ? {x[1]} : {x[2]})"
        case "abs":
            return f"FN(fabs)({a})"
        case "sign":
            return f"F(({a} > F(0)) - ({a} < F(0)))"
        case "tanh":
            return f"tangent({a})"
        case "sigmoid":
            return f"sigmoid({a})"
        case "relu":
            return f"({a} <= F(0) ? F(0) : {a})"
        case "leaky_relu":
            return f"({a} < F(0) ? {a} * F(0.01) : {a})"
        case "elu":
            return f"({a} < F(0) ? FN(expm1)({a}) : {a})"
        case "silu":
            return f"({a} * {forward('sigmoid', x)})"
        case "gelu":
            return f"({a} * {_phi(a)})"
        case "softplus":
            return f"(({a} > F(0) ? {a} : F(0)) + FN(log1p)(FN(exp)(-FN(fabs)({a}))))"
        case "asin" | "acos":
            return f"FN({name})(FN(fmin)(FN(fmax)({a}, F(-1)), F(1)))"
    raise KeyError(name)


def _phi(a: str) -> str:
    return f"(F(0.5) * FN(erf)({a} * F({math.sqrt(0.5)!r})) + F(0.5))"


def adjoint(name: str, x: list[str], y: str, d: str) -> list[str | None]:
    """What `d` (for the result y) is for each argument."""
    a = x[0]
    match name:
        case "neg":
            return [f"-{d}"]
        case "add":
            return [d, d]
        case "sub":
            return [d, f"-{d}"]
        case "mul":
            return [f"{d} * {x[1]}", f"{d} * {a}"]
        case "div":
            return [f"{d} / {x[1]}", f"-({d} / {x[1]}) * {y}"]
        case "minimum" | "maximum":
            # Equal arguments share, as in torch.
            how = "<" if name == "minimum" else ">"
            return [
                f"({p} == {q} ? F(0.5) * {d} : {p} {how} {q} ? {d} : F(0))"
                for p, q in ((a, x[1]), (x[1], a))
            ]
        case "where":
            return [None, f"({a} > F(0.5) ? {d} : F(0))", f"({a} > F(0.5) ? F(0) : {d})"]
        case "sin":
            return [f"{d} * FN(cos)({a})"]
        case "cos":
            return [f"-{d} * FN(sin)({a})"]
        case "tan":
            return [f"{d} * ({y} * {y} + F(1))"]
        case "exp":
            return [f"{d} * {y}"]
        case "log":
            return [f"{d} / {a}"]
        case "sqrt":
            return [f"{d} * F(0.5) / {y}"]
        case "abs":
            return [f"{d} * {forward('sign', x)}"]
        case "sign":
            return [None]
        case "tanh":
            return [f"{d} * (F(1) - {y} * {y})"]
        case "sigmoid":
            return [f"{d} * ({y} * (F(1) - {y}))"]
        case "relu":
            return [f"({a} > F(0) ? {d} : F(0))"]
        case "leaky_relu":
            return [f"({a} > F(0) ? {d} : {d} * F(0.01))"]
        case "elu":
            return [f"({a} > F(0) ? {d} : {d} * ({y} + F(1)))"]
        case "silu":
            s = forward("sigmoid", x)
            return [f"{d} * ({s} + {a} * {s} * (F(1) - {s}))"]
        case "gelu":
            density = f"FN(exp)({a} * {a} * F(-0.5)) * F({1 / math.sqrt(2 * math.pi)!r})"
            return [f"{d} * ({a} * {density} + {_phi(a)})"]
        case "softplus":
            return [f"{d} * {forward('sigmoid', x)}"]
        case "asin" | "acos":
            sign = "" if name == "asin" else "-"
            slope = f"{d} / FN(sqrt)(F(1) - {a} * {a})"
            return [f"(FN(fabs)({a}) < F(1) ? {sign}({slope}) : F(0))"]
        case "atan":
            return [f"{d} / ({a} * {a} + F(1))"]
        case "pow":
            return [
                f"{d} * {x[1]} * FN(pow)({a}, {x[1]} - F(1))",
                f"({a} > F(0) ? {d} * {y} * FN(log)({a}) : F(0))",
            ]
    raise KeyError(name)

"""Vectorised elementary functions, written out: range reduction and a polynomial.

Accurate to a few units in the last place; NaN and infinity stay what they are.
"""

from __future__ import annotations

import math

from qrlang.engine.cpu.llvm.asm import Fn, V, number
from qrlang.engine.series import COS32, COS64, SIN32, SIN64

EXP32 = tuple(1 / math.factorial(k) for k in range(7, 1, -1))
EXP64 = tuple(1 / math.factorial(k) for k in range(13, 1, -1))


def polynomial(fn: Fn, x: V, coefficients: tuple[float, ...]) -> V:
    total = fn.const(coefficients[0])
    for c in coefficients[1:]:
        total = fn.fma(total, x, fn.const(c))
    return total


def kernel_sincos(fn: Fn, r: V) -> tuple[V, V]:
    """sin and cos of |r| <= π/4."""
    small = fn.fmt.size == 4
    r2 = fn.mul(r, r)
    s = fn.fma(fn.mul(polynomial(fn, r2, SIN32 if small else SIN64), r2), r, r)
    c = fn.mul(polynomial(fn, r2, COS32 if small else COS64), fn.mul(r2, r2))
    c = fn.add(fn.fma(r2, fn.const(-0.5), fn.const(1.0)), c)
    return s, c


def rounded(fn: Fn, x: V) -> V:
    return fn.call(f"llvm.rint.{'v' + str(fn.fmt.lanes)}f{fn.fmt.size * 8}", fn.vf, x)


def reduce_half_pi(fn: Fn, x: V) -> tuple[V, V]:
    """x = r + k π/2: r, and k as integers (wrapped)."""
    if fn.fmt.size == 8:
        k = rounded(fn, fn.mul(x, fn.const(2 / math.pi)))
        r = x
        # π/2 in three parts of 33 bits: k times each is exact up to k = 2^20.
        for part in (
            1.57079632673412561417e0,
            6.07710050630396597660e-11,
            2.02226624879595063154e-21,
        ):
            r = fn.fma(k, fn.const(-part), r)
        return within_quarter(fn, r), fn.cast("fptosi", k, fn.vi)
    # In double precision, half a vector at a time.
    n = fn.fmt.lanes
    halves, whole = [], []
    for h in range(2):
        lanes = list(range(h * n // 2, (h + 1) * n // 2))
        half = fn.shuffle(x, None, lanes)
        t = f"<{n // 2} x double>"
        d = fn.cast("fpext", half, t)
        scale = _doubles(2 / math.pi, n // 2)
        k = fn.call(f"llvm.rint.v{n // 2}f64", t, fn.op("fmul", d, scale))
        back = fn.op("fmul contract", k, _doubles(-math.pi / 2, n // 2))
        r = fn.op("fadd contract", d, back)
        halves.append(fn.cast("fptrunc", r, f"<{n // 2} x float>"))
        whole.append(fn.cast("fptosi", k, f"<{n // 2} x i32>"))
    both = list(range(n))
    r = within_quarter(fn, fn.shuffle(halves[0], halves[1], both))
    return r, fn.shuffle(whole[0], whole[1], both)


def within_quarter(fn: Fn, r: V) -> V:
    """|r| <= π/4, also of an angle so large that nothing of it is left after whole turns: then any
    r will do, but the polynomials are sine and cosine only there."""
    return clamped(fn, r, math.nextafter(math.pi / 4, 1))


def _doubles(x: float, n: int) -> V:
    return V("<" + ", ".join([f"double {number(x, 8)}"] * n) + ">", f"<{n} x double>")


def turned(fn: Fn, s: V, c: V, k: V) -> tuple[V, V]:
    """sin and cos k quarter turns further on."""
    odd = fn.compare("ne", fn.bit("and", k, fn.iconst(1)), fn.iconst(0))
    sine, cosine = fn.select(odd, c, s), fn.select(odd, s, c)
    top = fn.fmt.size * 8 - 2
    sign = fn.bit("shl", fn.bit("and", k, fn.iconst(2)), fn.iconst(top))
    k1 = fn.bit("add", k, fn.iconst(1))
    sign_c = fn.bit("shl", fn.bit("and", k1, fn.iconst(2)), fn.iconst(top))
    return flip_sign(fn, sine, sign), flip_sign(fn, cosine, sign_c)


def flip_sign(fn: Fn, x: V, sign: V) -> V:
    bits = fn.cast("bitcast", x, fn.vi)
    return fn.cast("bitcast", fn.bit("xor", bits, sign), fn.vf)


def sincos(fn: Fn, x: V) -> tuple[V, V]:
    r, k = reduce_half_pi(fn, x)
    s, c = kernel_sincos(fn, r)
    return turned(fn, s, c, k)


def turns(fn: Fn, angle: V) -> V:
    """angle / 4π as an integer, a whole turn being 2^32 (2^64): sums of them wrap exactly."""
    n, size = fn.fmt.lanes, fn.fmt.size
    quarter = 2.0 ** (size * 8 - 2)
    parts = []
    pieces = 2 if size == 4 else 1
    for h in range(pieces):
        m = n // pieces
        t = f"<{m} x double>"
        d = (
            fn.cast("fpext", fn.shuffle(angle, None, list(range(h * m, (h + 1) * m))), t)
            if (size == 4)
            else angle
        )
        part = fn.op("fmul", d, _doubles(1 / (4 * math.pi), m))
        part = fn.op("fsub", part, fn.call(f"llvm.rint.v{m}f64", t, part))
        part = fn.op("fmul", part, _doubles(quarter, m))
        if size == 4:
            part = fn.call(f"llvm.rint.v{m}f64", t, part)
        parts.append(fn.cast("fptosi", part, f"<{m} x {fn.i}>"))
    whole = parts[0] if size == 8 else fn.shuffle(parts[0], parts[1], list(range(n)))
    return fn.bit("shl", whole, fn.iconst(2))


def sincos_turns(fn: Fn, u: V) -> tuple[V, V]:
    """sin and cos of 2π u / 2^32 (2^64)."""
    bits = fn.fmt.size * 8
    k = fn.bit("lshr", fn.bit("add", u, fn.iconst(1 << (bits - 3))), fn.iconst(bits - 2))
    rest = fn.bit("sub", u, fn.bit("shl", k, fn.iconst(bits - 2)))
    r = fn.mul(fn.cast("sitofp", rest, fn.vf), fn.const(2 * math.pi / 2.0**bits))
    s, c = kernel_sincos(fn, r)
    return turned(fn, s, c, k)


def exp(fn: Fn, x: V) -> V:
    small = fn.fmt.size == 4
    low, high = (-87.0, 88.5) if small else (-708.0, 709.5)
    clamped = fn.select(fn.compare("olt", x, fn.const(low)), fn.const(low), x)
    clamped = fn.select(fn.compare("ogt", clamped, fn.const(high)), fn.const(high), clamped)
    k = rounded(fn, fn.mul(clamped, fn.const(1 / math.log(2))))
    parts = (
        (0.693359375, -2.12194440e-4) if small else (6.93145751953125e-1, 1.42860682030941723212e-6)
    )
    r = clamped
    for part in parts:
        r = fn.fma(k, fn.const(-part), r)
    p = polynomial(fn, r, EXP32 if small else EXP64)
    p = fn.add(fn.fma(p, fn.mul(r, r), r), fn.const(1.0))
    mantissa, bias = (23, 127) if small else (52, 1023)
    # In two factors, so that the largest power of two stays finite.
    whole = fn.cast("fptosi", k, fn.vi)
    first = fn.bit("ashr", whole, fn.iconst(1))
    for half in (first, fn.bit("sub", whole, first)):
        power = fn.bit("shl", fn.bit("add", half, fn.iconst(bias)), fn.iconst(mantissa))
        p = fn.mul(p, fn.cast("bitcast", power, fn.vf))
    p = fn.select(fn.compare("olt", x, fn.const(low)), fn.const(0.0), p)
    p = fn.select(
        fn.compare("ogt", x, fn.const(high)),
        V("<" + ", ".join([f"{fn.f} 0x7FF0000000000000"] * fn.fmt.lanes) + ">", fn.vf),
        p,
    )
    return fn.select(fn.compare("uno", x, x), x, p)


TANH_P = (-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3)
TANH_Q = (1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3)
# x P(x²)/Q(x²) up to 9, where single precision can tell it from 1 no more; highest powers first.
TANH32_P = (1.335490383e-8, 2.060927772e-5, 3.495600894e-3, 1.338103676e-1, 9.999999795e-1)
TANH32_Q = (7.776663472e-7, 3.285655101e-4, 2.587703195e-2, 4.671435238e-1, 1.0)


def tanh(fn: Fn, x: V) -> V:
    if fn.fmt.size == 4:
        x = clamped(fn, x, 9.0)
        z = fn.mul(x, x)
        top = fn.mul(x, polynomial(fn, z, TANH32_P))
        return clamped(fn, fn.div(top, polynomial(fn, z, TANH32_Q)), 1.0)
    a = absolute(fn, x)
    z = fn.mul(x, x)
    ratio = fn.div(polynomial(fn, z, TANH_P), polynomial(fn, z, TANH_Q))
    near = fn.fma(fn.mul(ratio, z), x, x)
    e = exp(fn, fn.add(a, a))
    far = fn.sub(fn.const(1.0), fn.div(fn.const(2.0), fn.add(e, fn.const(1.0))))
    far = copysign(fn, far, x)
    return fn.select(fn.compare("olt", a, fn.const(0.625)), near, far)


def clamped(fn: Fn, x: V, most: float) -> V:
    """x, its absolute value at most so much; NaN stays NaN."""
    x = fn.select(fn.compare("ogt", x, fn.const(most)), fn.const(most), x)
    return fn.select(fn.compare("olt", x, fn.const(-most)), fn.const(-most), x)


def absolute(fn: Fn, x: V) -> V:
    return fn.call(f"llvm.fabs.v{fn.fmt.lanes}f{fn.fmt.size * 8}", fn.vf, x)


def copysign(fn: Fn, x: V, sign: V) -> V:
    return fn.call(f"llvm.copysign.v{fn.fmt.lanes}f{fn.fmt.size * 8}", fn.vf, x, sign)


def sqrt(fn: Fn, x: V) -> V:
    return fn.call(f"llvm.sqrt.v{fn.fmt.lanes}f{fn.fmt.size * 8}", fn.vf, x)


def log(fn: Fn, x: V) -> V:
    """2 atanh((m-1)/(m+1)) of the mantissa; negative gives NaN, zero -infinity."""
    small = fn.fmt.size == 4
    mantissa = 23 if small else 52
    bits = fn.cast("bitcast", x, fn.vi)
    base = fn.iconst(0x3F3504F3 if small else 0x3FE6A09E667F3BCD)
    shifted = fn.bit("sub", bits, base)
    k = fn.bit("ashr", shifted, fn.iconst(mantissa))
    m = fn.cast("bitcast", fn.bit("sub", bits, fn.bit("shl", k, fn.iconst(mantissa))), fn.vf)
    s = fn.div(fn.sub(m, fn.const(1.0)), fn.add(m, fn.const(1.0)))
    s2 = fn.mul(s, s)
    p = polynomial(fn, s2, tuple(2 / (2 * j + 1) for j in range(5 if small else 11, 0, -1)))
    main = fn.fma(fn.mul(p, s2), s, fn.add(s, s))
    kf = fn.cast("sitofp", k, fn.vf)
    out = fn.fma(kf, fn.const(math.log(2)), main)
    inf = V("<" + ", ".join([f"{fn.f} 0x7FF0000000000000"] * fn.fmt.lanes) + ">", fn.vf)
    nan = V("<" + ", ".join([f"{fn.f} 0x7FF8000000000000"] * fn.fmt.lanes) + ">", fn.vf)
    out = fn.select(fn.compare("oeq", x, fn.const(0.0)), fn.neg(inf), out)
    out = fn.select(fn.compare("olt", x, fn.const(0.0)), nan, out)
    out = fn.select(fn.compare("oeq", x, inf), inf, out)
    return fn.select(fn.compare("uno", x, x), x, out)


def by_lane(fn: Fn, name: str, *args: V) -> V:
    """A function of the C library, one lane after the other, in double precision."""
    out = V("poison", fn.vf)
    for lane in range(fn.fmt.lanes):
        parts = []
        for a in args:
            x = fn.new(fn.f, f"extractelement {a.type} {a.name}, i32 {lane}")
            parts.append(fn.cast("fpext", x, "double") if fn.fmt.size == 4 else x)
        y = fn.call(name, "double", *parts)
        if fn.fmt.size == 4:
            y = fn.cast("fptrunc", y, "float")
        out = fn.new(fn.vf, f"insertelement {fn.vf} {out.name}, {fn.f} {y.name}, i32 {lane}")
    return out


def forward(fn: Fn, name: str, x: list[V]) -> V:
    one, zero = fn.const(1.0), fn.const(0.0)
    a = x[0]
    match name:
        case "neg":
            return fn.neg(a)
        case "add" | "sub" | "mul" | "div":
            return getattr(fn, name)(a, x[1])  # type: ignore[no-any-return]
        case "minimum" | "maximum":
            # NaN in either comes out.
            how = "olt" if name == "minimum" else "ogt"
            best = fn.select(fn.compare(how, a, x[1]), a, x[1])
            return fn.select(fn.compare("uno", a, a), a, best)
        case "where":
            return fn.select(fn.compare("ogt", a, fn.const(0.5)), x[1], x[2])
        case "sin":
            return sincos(fn, a)[0]
        case "cos":
            return sincos(fn, a)[1]
        case "tan":
            s, c = sincos(fn, a)
            return fn.div(s, c)
        case "exp":
            return exp(fn, a)
        case "log":
            return log(fn, a)
        case "sqrt":
            return sqrt(fn, a)
        case "abs":
            return absolute(fn, a)
        case "sign":
            up = fn.select(fn.compare("ogt", a, zero), one, zero)
            return fn.select(fn.compare("olt", a, zero), fn.const(-1.0), up)
        case "tanh":
            return tanh(fn, a)
        case "sigmoid":
            half = fn.const(0.5)
            return fn.fma(tanh(fn, fn.mul(a, half)), half, half)
        case "relu":
            return fn.select(fn.compare("ole", a, zero), zero, a)
        case "leaky_relu":
            return fn.select(fn.compare("olt", a, zero), fn.mul(a, fn.const(0.01)), a)
        case "elu":
            return fn.select(fn.compare("olt", a, zero), fn.sub(exp(fn, a), one), a)
        case "silu":
            return fn.mul(a, forward(fn, "sigmoid", [a]))
        case "gelu":
            return fn.mul(a, _phi(fn, a))
        case "softplus":
            positive = fn.select(fn.compare("ogt", a, zero), a, zero)
            return fn.add(positive, log(fn, fn.add(one, exp(fn, fn.neg(absolute(fn, a))))))
        case "asin" | "acos":
            low = fn.select(fn.compare("olt", a, fn.const(-1.0)), fn.const(-1.0), a)
            return by_lane(fn, name, fn.select(fn.compare("ogt", low, one), one, low))
        case "atan":
            return by_lane(fn, "atan", a)
        case "pow":
            return by_lane(fn, "pow", a, x[1])
    raise KeyError(name)


def _phi(fn: Fn, a: V) -> V:
    half = fn.const(0.5)
    return fn.fma(by_lane(fn, "erf", fn.mul(a, fn.const(math.sqrt(0.5)))), half, half)


def adjoint(fn: Fn, name: str, x: list[V], y: V, d: V) -> list[V | None]:
    """What `d` (for the result y) is for each argument."""
    one, zero = fn.const(1.0), fn.const(0.0)
    a = x[0]

    def gate(condition: V, value: V) -> V:
        return fn.select(condition, value, zero)

    match name:
        case "neg":
            return [fn.neg(d)]
        case "add":
            return [d, d]
        case "sub":
            return [d, fn.neg(d)]
        case "mul":
            return [fn.mul(d, x[1]), fn.mul(d, a)]
        case "div":
            q = fn.div(d, x[1])
            return [q, fn.neg(fn.mul(q, y))]
        case "minimum" | "maximum":
            # Equal arguments share, as in torch.
            how = "olt" if name == "minimum" else "ogt"
            same = fn.compare("oeq", a, x[1])
            half = fn.mul(d, fn.const(0.5))
            first = gate(fn.compare(how, a, x[1]), d)
            second = gate(fn.compare(how, x[1], a), d)
            return [fn.select(same, half, first), fn.select(same, half, second)]
        case "where":
            c = fn.compare("ogt", a, fn.const(0.5))
            return [None, fn.select(c, d, zero), fn.select(c, zero, d)]
        case "sin":
            return [fn.mul(d, sincos(fn, a)[1])]
        case "cos":
            return [fn.neg(fn.mul(d, sincos(fn, a)[0]))]
        case "tan":
            return [fn.fma(fn.mul(y, y), d, d)]
        case "exp":
            return [fn.mul(d, y)]
        case "log":
            return [fn.div(d, a)]
        case "sqrt":
            return [fn.div(fn.mul(d, fn.const(0.5)), y)]
        case "abs":
            return [fn.mul(d, forward(fn, "sign", [a]))]
        case "sign":
            return [None]
        case "tanh":
            return [fn.mul(d, fn.sub(one, fn.mul(y, y)))]
        case "sigmoid":
            return [fn.mul(d, fn.mul(y, fn.sub(one, y)))]
        case "relu":
            return [gate(fn.compare("ogt", a, zero), d)]
        case "leaky_relu":
            return [fn.select(fn.compare("ogt", a, zero), d, fn.mul(d, fn.const(0.01)))]
        case "elu":
            return [fn.select(fn.compare("ogt", a, zero), d, fn.mul(d, fn.add(y, one)))]
        case "silu":
            s = forward(fn, "sigmoid", [a])
            inner = fn.fma(fn.mul(a, s), fn.sub(one, s), s)
            return [fn.mul(d, inner)]
        case "gelu":
            density = exp(fn, fn.mul(fn.mul(a, a), fn.const(-0.5)))
            density = fn.mul(density, fn.const(1 / math.sqrt(2 * math.pi)))
            return [fn.mul(d, fn.fma(a, density, _phi(fn, a)))]
        case "softplus":
            return [fn.mul(d, forward(fn, "sigmoid", [a]))]
        case "asin" | "acos":
            slope = fn.div(d, sqrt(fn, fn.sub(one, fn.mul(a, a))))
            inside = fn.compare("olt", absolute(fn, a), one)
            return [gate(inside, slope if name == "asin" else fn.neg(slope))]
        case "atan":
            return [fn.div(d, fn.fma(a, a, one))]
        case "pow":
            less = by_lane(fn, "pow", a, fn.sub(x[1], one))
            less = gate(fn.compare("une", x[1], zero), less)  # of x ** 0, also at 0
            logged = gate(fn.compare("ogt", a, zero), log(fn, a))
            return [fn.mul(d, fn.mul(x[1], less)), fn.mul(d, fn.mul(y, logged))]
    raise KeyError(name)

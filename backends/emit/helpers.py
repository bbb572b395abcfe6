"""Small functions that an emitted module brings with it: those that it uses."""

from __future__ import annotations

import ast
import inspect
import re

HELPERS = {
    "flat": '''
def flat(x):
    """One vector a sequence."""
    return x.reshape(len(x), -1)
''',
    "join": '''
def join(*parts):
    """One after the other; what is the same for all sequences is repeated."""
    rows = max(len(p) for p in parts)
    return np.concatenate([np.broadcast_to(p, (rows, p.shape[1])) for p in parts], axis=1)
''',
    "softmax": '''
def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)
''',
    "layer_norm": '''
def layer_norm(x, scale, shift):
    deviation = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return (x - x.mean(-1, keepdims=True)) / deviation * scale + shift
''',
    "leaky_relu": '''
def leaky_relu(x):
    return np.where(x > 0, x, 0.01 * x)
''',
    "elu": '''
def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
''',
    "silu": '''
def silu(x):
    return x / (1 + np.exp(-x))
''',
    "gelu": '''
def gelu(x):
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2
''',
    "shifted": '''
def shifted(x, start):
    """One moment later."""
    return np.concatenate([np.full_like(x[:, :1], start), x[:, :-1]], axis=1)
''',
    "last": '''
def last(x, count):
    """The last moments, oldest first; zeros before the start."""
    before = np.zeros((len(x), max(0, count - x.shape[1]), *x.shape[2:]))
    return np.concatenate([before, x[:, -count:]], axis=1)
''',
    "moments": '''
def moments(x):
    """One vector a moment."""
    return x.reshape(*x.shape[:2], -1)
''',
    "weighted": '''
def weighted(weights, values):
    """The sum over moments."""
    shape = (*weights.shape, *(1,) * (values.ndim - 2))
    return (weights.reshape(shape) * values).sum(1)
''',
    "dot": '''
def dot(query, keys):
    return (keys @ query[..., None])[..., 0]
''',
    "scaled": '''
def scaled(query, keys):
    return (keys @ query[..., None])[..., 0] / np.sqrt(query.shape[-1])
''',
    "bilinear": '''
def bilinear(query, keys, matrix):
    return (keys @ (query @ matrix)[..., None])[..., 0]
''',
    "additive": '''
def additive(query, keys, a, b, bias, v):
    return np.tanh((query @ a.T)[:, None] + keys @ b.T + bias) @ v
''',
    "trained_unitary": '''
def trained_unitary(coefficients):
    """exp(-i sum of coefficient * Pauli word), the words in the order of the alphabet."""
    count = len(coefficients).bit_length() // 2
    words = ["".join(letters) for letters in itertools.product("IXYZ", repeat=count)]
    return evolved(words, coefficients[None], 1.0)[0]
''',
}  # fmt: skip


def _written() -> dict[str, str]:
    """The functions that make gates of states and unitaries, without their types."""
    from qrlang.hardware import synthesis

    source = inspect.getsource(synthesis)
    lines = source.splitlines()
    found: dict[str, str] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            for argument in node.args.args:
                argument.annotation = None
            head = f"def {node.name}({ast.unparse(node.args)}):"
            rest = lines[node.body[0].lineno - 1 : node.end_lineno]
            found[node.name] = "\n".join([head, *map(_untyped, rest)])
    return found


def _untyped(line: str) -> str:
    return re.sub(r"^( +\w+): [^=]+ = ", r"\1 = ", re.sub("  # (noqa|fmt).*", "", line))


HELPERS |= _written()


def used(text: str) -> list[str]:
    """The helpers that a text calls, and those that they call."""
    found: set[str] = set()
    while new := [n for n in HELPERS if n not in found and _calls(n, text)]:
        found.update(new)
        text += "".join(HELPERS[n].split(":", 1)[1] for n in new)
    return [HELPERS[n].strip() for n in HELPERS if n in found]


def _calls(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w.]){name}\(", text) is not None

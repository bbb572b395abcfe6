"""For tests of the torch target: one program in the reference interpreter and as a module."""

from __future__ import annotations

from typing import Any

import numpy as np

from qrlang.ir.program import Program


def reference(program: Program, given: list[dict[str, Any]], seed: int = 0) -> list[dict[str, Any]]:
    """The outputs of each sequence, one run each."""
    from qrlang.backends.reference import run

    targets = {v.name for v in program.targets}
    return [
        run(
            program,
            {k: x for k, x in one.items() if k not in targets},
            {k: x for k, x in one.items() if k in targets},
            seed=seed,
        ).outputs
        for one in given
    ]


def module(program: Program, seed: int = 0, double: bool = True, road: str | None = "plain") -> Any:
    """The emitted module, with the weights that the reference interpreter draws."""
    from qrlang.backends.reference import initial_weights
    from qrlang.backends.torch.memory import model_class

    model = model_class(program)(road=road)
    if double:
        model = model.double()
    set_weights(model, initial_weights(program, seed))
    return model.eval()  # dropout is the identity, as in the interpreter


def set_weights(model: Any, values: dict[str, Any]) -> None:
    import torch

    own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    with torch.no_grad():
        for name, value in values.items():
            own[name].copy_(torch.as_tensor(np.asarray(value)))


def batch(given: list[dict[str, Any]]) -> dict[str, Any]:
    """Inputs of several sequences, padded with nonsense where they are shorter."""
    import torch

    out = {}
    for name in given[0]:
        arrays = [np.asarray(one[name]) for one in given]
        longest = max((a.shape[0] for a in arrays if a.ndim), default=0)
        padded = []
        for a in arrays:
            missing = longest - a.shape[0] if a.ndim else 0
            filler = np.full((missing, *a.shape[1:]), 1 if a.dtype.kind in "iu" else 7.0, a.dtype)
            padded.append(np.concatenate([a, filler]) if missing else a)
        out[name] = torch.as_tensor(np.stack(padded))
    return out


def outputs(program: Program, result: Any) -> dict[str, Any]:
    """By name, as NumPy."""
    if not isinstance(result, dict):
        result = {program.outputs[0].name: result}
    return {name: x.detach().cpu().numpy() for name, x in result.items()}

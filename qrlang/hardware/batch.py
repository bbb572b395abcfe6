"""What a run goes through: a program, its weights and sequences, from a run folder or a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from qrlang.hardware import tensors
from qrlang.hardware.device import DeviceError
from qrlang.hardware.loop import Item
from qrlang.ir.program import Program
from qrlang.ir.text import print_program
from qrlang.rights.gate import free


@dataclass(frozen=True, slots=True)
class Subject:
    program: Program
    weights: Mapping[str, Any]
    items: list[Item]
    answers: list[Any]  # the target of each sequence
    kind: str  # of the target, "" if there is none
    about: str = ""


def weights_of_run(folder: Path, program: Program) -> dict[str, Any]:
    """The best checkpoint's, or the last one's. Read without torch."""
    if not (folder / "checkpoints" / "last.safetensors").is_file():
        raise DeviceError(
            f"'{folder}' has no checkpoint", f"train it: qrlc train --resume {folder}"
        )
    try:
        return dict(tensors.weights_of_run(folder, {w.name: w.shape for w in program.weights}))
    except ValueError as error:
        again = "put a copy of it back, or train the run anew"
        raise DeviceError(str(error), again) from None


def items_of_feed(
    feed: Any, program: Program, split: str, limit: int
) -> tuple[list[Item], list[Any]]:
    """The first sequences of a split, cut to their own lengths."""
    items: list[Item] = []
    answers: list[Any] = []
    inputs = [v.name for v in program.inputs]
    targets = [v.name for v in program.targets]
    for batch in feed.batches(split, min(limit or 256, 256), seed=0, epoch=0, shuffle=False):
        for i in range(batch.size):
            if limit and len(items) >= limit:
                return items, answers

            def one(name: str, batch: Any = batch, i: int = i) -> Any:
                value = np.asarray(batch.values[name][i])
                return value[: int(batch.lengths[name][i])] if name in batch.lengths else value

            items.append(
                Item({n: one(n) for n in inputs}, {n: one(n) for n in targets if n in batch.values})
            )
            answers.append(one(targets[-1]) if targets else None)
    return items, answers


def items_of_file(
    path: str, program: Program, limit: int, said: Mapping[str, Any] | None = None
) -> tuple[list[Item], list[Any]]:
    """An .npz with an array for each input (and target), [sequences, (time), …], and `length` where
    they are padded. `said`: what a run says of its own data, whose units and names of classes are
    meant."""
    free(Path(path))
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = {k: found[k] for k in found.files}
    except (OSError, ValueError, EOFError, TypeError, BadZipFile) as error:
        # TypeError: one array alone, which is an .npy file.
        why = "it is one array, without a name" if isinstance(error, TypeError) else str(error)
        why = getattr(error, "strerror", None) or why
        raise DeviceError(f"'{path}' cannot be read: {why}", "give an .npz file") from None
    names = [v.name for v in program.inputs]
    missing = [n for n in names if n not in arrays]
    if missing:
        raise DeviceError(
            f"'{path}' has no array `{missing[0]}`", f"it has {', '.join(arrays) or 'none'}"
        )
    targets = [v.name for v in program.targets if v.name in arrays]
    for n, by in (said or {}).get("scale", {}).items():
        if n in arrays:
            arrays[n] = _in_units(arrays[n], by, f"'{path}': `{n}`")
    labels = (said or {}).get("labels", [])
    for n in targets:
        if arrays[n].dtype.kind == "U" and labels:
            arrays[n] = _numbered(arrays[n], labels, f"'{path}': `{n}`")
    counts = {n: len(arrays[n]) if arrays[n].ndim else 0 for n in [*names, *targets]}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        each = ", ".join(f"{n} {k}" for n, k in counts.items())
        what = "different numbers of sequences" if all(counts.values()) else "no sequences"
        raise DeviceError(f"'{path}' has {what}: {each}", "sequences come first in each array")
    count = min([*counts.values(), *([limit] if limit else [])], default=1)
    series = {v.name for v in (*program.inputs, *program.targets) if v.type.seq}
    others = {k: v for k, v in arrays.items() if k not in counts}
    ends = {n: _lengths(arrays[n], n, others, path) for n in counts if n in series}

    def one(name: str, i: int) -> Any:
        until = ends.get(name)
        return arrays[name][i] if until is None else arrays[name][i][: until[i]]

    items = [
        Item({n: one(n, i) for n in names}, {n: one(n, i) for n in targets}) for i in range(count)
    ]
    last = program.targets[-1].name if program.targets else ""
    return items, [one(last, i) if last in arrays else None for i in range(count)]


def _lengths(array: Any, name: str, others: Mapping[str, Any], path: str) -> Any:
    """Of padded sequences: their own, or those of all columns; None: all are full."""
    said = next((n for n in (f"{name}_length", "length") if n in others), None)
    if said is None or array.ndim < 2:
        return None
    lengths = others[said]
    if lengths.dtype.kind not in "iu" or lengths.shape != array.shape[:1]:
        raise DeviceError(f"'{path}': `{said}` has to be one whole number for each sequence")
    wrong = (lengths < 1) | (lengths > array.shape[1])
    if wrong.any():
        k = int(np.argmax(wrong))
        raise DeviceError(
            f"'{path}': `{said}` of sequence {k} is {lengths[k]}, and `{name}` has "
            f"{array.shape[1]} moments"
        )
    return lengths


def _in_units(array: Any, by: Mapping[str, Any], where: str) -> Any:
    moment = np.shape(by["shift"])
    if array.dtype.kind not in "biuf":
        raise DeviceError(f"{where} holds no numbers")
    if array.shape[array.ndim - len(moment) :] != moment:
        wide = ", ".join(map(str, moment))
        raise DeviceError(f"{where} is {list(array.shape)}; of the run's data it ends in [{wide}]")
    return (array - by["shift"]) / by["divisor"]


def _numbered(names: Any, labels: Sequence[str], where: str) -> Any:
    unknown = sorted(set(names.ravel().tolist()) - {*labels})
    if unknown:
        raise DeviceError(f"{where} has the label {unknown[0]!r}, which training did not have",
                          f"there were {', '.join(labels)}")  # fmt: skip
    order = np.argsort(labels)
    return order[np.searchsorted(labels, names, sorter=order)]


def score(outputs: list[dict[str, Any]], answers: list[Any], kind: str) -> dict[str, float]:
    """How good the answers are: right ones, or the rms error of numbers."""
    hits: list[float] = []
    squares: list[float] = []
    for out, answer in zip(outputs, answers, strict=True):
        main = np.asarray(out.get("", next(iter(out.values()), np.zeros(0))))
        if answer is None or not main.size:
            continue
        if kind in ("class", "token"):
            right = np.asarray(answer).ravel()
            one = main.size == right.size  # score for two classes, as `bce` takes it
            said = main.ravel() > 0 if one else np.argmax(main, axis=-1).ravel()
            hits += list((said == right).astype(float))
        elif main.size == np.asarray(answer).size:
            squares += list(np.square(main.ravel() - np.asarray(answer, float).ravel()))
    found: dict[str, float] = {}
    if hits:
        found["accuracy"] = float(np.mean(hits))
    if squares:
        found["rms error"] = float(np.sqrt(np.mean(squares)))
    return found


def fingerprint(subject: Subject) -> str:
    """Changes with the program, the weights and the data."""
    import hashlib

    digest = hashlib.sha256(print_program(subject.program).encode())
    for name in sorted(subject.weights):
        digest.update(np.ascontiguousarray(subject.weights[name]).tobytes())
    for item in subject.items:
        for name, value in sorted({**item.inputs, **item.targets}.items()):
            digest.update(name.encode() + np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()[:16]


def save(folder: Path, outputs: list[dict[str, Any]], page: Mapping[str, Any]) -> None:
    """`outputs.npz` (an array for each output and sequence) and `result.json`."""
    arrays = {f"{name or 'output'}.{i}": np.asarray(x)
              for i, out in enumerate(outputs) for name, x in out.items()}  # fmt: skip
    np.savez(folder / "outputs.npz", **arrays)  # type: ignore[arg-type]
    (folder / "result.json").write_text(json.dumps(page, indent=2) + "\n", encoding="utf-8")

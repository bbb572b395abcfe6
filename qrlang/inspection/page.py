"""What a model is made of, as a page: dense, but every number with its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qrlang.diagnostics.words import plural
from qrlang.inspection.data import Data
from qrlang.names import assumption, quantity


def page(data: Mapping[str, Any]) -> str:
    lines = _head(data)
    lines += _parameters(data["parameters"])
    for group in _alike(data["circuits"]):
        lines += _circuit(group[0], [c["name"] for c in group])
    lines += _states(data["state"])
    lines += _step(data["training_step"])
    if "gpu" in data:
        from qrlang.engine.cuda import report

        lines += report.page(data["gpu"], data["training_step"]["batch"])
    if data["defaults"]:
        lines += ["", "Defaults that applied"]
        lines += [f"  {line}" for line in data["defaults"]]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _head(data: Mapping[str, Any]) -> list[str]:
    settings = "  ".join(f"{k} = {v}" for k, v in data["settings"].items())
    lines = [data["model"] + (f"    {settings}" if settings else "")]
    lines += [f"  {assumption(name, data['settings'][name])}" for name in data["assumed"]]
    if data["doc"]:
        lines += [f"  {line}" for line in data["doc"].splitlines()]
    lines.append("")
    for word, key in (("in", "inputs"), ("target", "targets"), ("out", "outputs")):
        ports = "   ".join(f"{name}: {kind}" for name, kind in data[key].items())
        if ports:
            lines.append(f"  {word:<7}{ports}")
    return lines


def _parameters(data: Mapping[str, Any]) -> list[str]:
    trained = data["classical"] + data["quantum"]
    said = f"{trained:,} trained: {data['classical']:,} classical, {data['quantum']:,} quantum"
    frozen = f"; {data['frozen']:,} frozen" if data["frozen"] else ""
    lines = ["", f"Parameters  {said}{frozen}"]
    rows = [
        (w["name"], " × ".join(map(str, w["shape"])) or "1", f"{w['count']:,}",
         w["initial"] + ("" if w["trained"] else ", frozen"))
        for w in data["weights"]
    ]  # fmt: skip
    return lines + table(rows, right={2})


def _circuit(data: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    before, after = data["before"], data["after"]
    registers = ", ".join(f"{name}[{size}]" for name, size in data["registers"].items())
    if data["called"]:
        layers = "Layer " if len(names) == 1 else "Layers "
        what = f"{layers}{', '.join(names)}: {plural(data['qubits'], 'fresh qubit')} at every call"
    else:
        what = f"{_moment(data)}: {plural(data['qubits'], 'qubit')}, {registers}"
    lines = ["", what]
    rows = [("", "written", "after passes", "")]
    for word in ("gates", "two_qubit", "depth", "angles"):
        note = ""
        if word == "gates":
            note = ", ".join(f"{n:,} {name}" for name, n in list(after["by_name"].items())[:6])
            note += ", …" if len(after["by_name"]) > 6 else ""
        elif word == "angles":
            note = ", ".join(f"{n:,} {_ROLES[r]}" for r, n in after["angles_by_role"].items())
        rows.append((word.replace("_", "-"), f"{before[word]:,}", f"{after[word]:,}", note))
    if before["depth"] or after["depth"]:  # else it only reads
        lines += table(rows, right={1, 2})
    for r in dict.fromkeys(map(_reads, data["readouts"])):
        times = sum(_reads(other) == r for other in data["readouts"])
        lines.append(f"  {r}" + (f"; {times} times" if times > 1 else ""))
    return lines


def _moment(data: Mapping[str, Any]) -> str:
    name, loop = data["name"], data["recurrence"]
    if loop is None:
        return f"Circuit {name}"
    step = "Step" if loop == "step" else f"Step of {loop}"
    return step if name == loop else f"{step}, {name.removeprefix(loop + '.')}"


def _alike(circuits: Iterable[Data]) -> list[list[Data]]:
    """Layers that differ in nothing but their names, together."""
    groups: list[list[Data]] = []
    for c in circuits:
        for group in groups:
            if c["called"] and all(
                c[k] == group[0][k] for k in c if k not in ("name", "registers")
            ):
                group.append(c)
                break
        else:
            groups.append([c])
    return groups


_ROLES = {
    "layer": "from layers",
    "trained": "trained",
    "readout": "from readouts",
    "data": "from data",
    "frozen": "frozen",
    "constant": "constant",
}


def _reads(r: Mapping[str, Any]) -> str:
    text = f"reads {r['name'] or r['kind']}: {plural(r['values'], 'value')}"
    text += f" ({r['how']})"
    if r["kind"] == "measurement":
        return text
    count = len(r["settings"])
    text += f", {plural(count, 'setting')}"
    letters = ["".join(dict.fromkeys(s.values())) for s in r["settings"]]
    if count and all(len(x) == 1 for x in letters):
        text += f": all {', all '.join(letters)}"
    return text


def _states(data: Iterable[Mapping[str, Any]]) -> list[str]:
    lines = ["", "State"]
    for space in data:
        names = ", ".join(f"{name}[{size}]" for name, size in space["registers"].items())
        kind = "pure" if space["pure"] else "mixed"
        amplitudes = (2 if space["pure"] else 4) ** min(space["qubits"], 600)
        size = f"{amplitudes:,}" if amplitudes < 10**9 else f"{amplitudes:.1e}"
        text = f"  {names}: {kind}, {size} {'real' if space['real'] else 'complex'} numbers"
        lines.append(text)
        for cause in space["mixed_by"]:
            lines.append(f"    mixed by {cause['what']} at {cause['where']}")
    return lines if len(lines) > 2 else []


def _step(data: Mapping[str, Any]) -> list[str]:
    return [
        "",
        f"One training step  of {data['batch']} sequences of {data['steps']} steps, in single "
        "precision",
        *table(
            [
                ("operations", quantity(data["operations"], "", 1000),
                 f"{quantity(data['quantum_operations'], '', 1000)} on states, "
                 f"{quantity(data['classical_operations'], '', 1000)} elsewhere"),
                ("memory", quantity(data["bytes"], "B", 1024),
                 f"{quantity(data['state_bytes'], 'B', 1024)} states, "
                 f"{quantity(data['value_bytes'], 'B', 1024)} values, "
                 f"{quantity(data['weight_bytes'], 'B', 1024)} weights with their optimizer"),
            ],
            right={1},
        ),
        f"  torch takes the {data['road']['name']} road:",
        f"    {data['road']['why']}",
    ]  # fmt: skip


def table(rows: Sequence[tuple[str, ...]], right: set[int]) -> list[str]:
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  "
        + "   ".join(
            cell.rjust(w) if i in right else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]

"""How a GPU would run a plan, said without one: which threads share a sequence, what a block takes,
how many blocks a multiprocessor holds at once."""

from __future__ import annotations

from typing import Any

from qrlang.engine.cuda.launch.launcher import Unavailable
from qrlang.engine.cuda.layout.geometry import Geometry
from qrlang.engine.cuda.layout.mapping import Mapping, choose
from qrlang.engine.cuda.layout.memory import geometries
from qrlang.engine.cuda.layout.multiprocessor import REGISTERS, Multiprocessor
from qrlang.engine.cuda.printer import write
from qrlang.engine.cuda.source import KernelSpec
from qrlang.engine.nodes import Plan, Refusal

Data = dict[str, Any]
MOST = 255  # registers of a thread


def report(plan: Plan, batch: int, arch: int = 90, compile_too: bool = True) -> Data:
    """`registers` are those that NVRTC gives each kernel where it is installed (which takes
    seconds), else None; `at_most` is what the text allows."""
    mapping = choose(plan, batch, "float32", arch)
    if isinstance(mapping, Refusal):
        return {"arch": arch, "why_not": mapping.reason}
    source = write(plan, mapping)
    kernels, why = {}, ""
    for spec, text in source.parts:
        used = None
        if compile_too and not why:
            from qrlang.engine.cuda.launch.compile import resources

            try:
                used = resources(text, arch)
            except Unavailable as error:
                why = str(error)
        kernels[spec.name] = _kernel(mapping, spec, arch, used)
    m, spaces = mapping, geometries(plan, mapping)
    return {
        "arch": arch,
        "why_not": "",
        "mapping": _name(m),
        "threads": 1 << m.threads,
        "amplitudes": 1 << m.registers,
        "cluster": 1 << m.cluster,
        "block": m.block,
        "sequences": m.sequences,
        "blocks": source.forward.blocks(batch),
        "walks": max(map(_walks, spaces), default=0) if not m.shared else 0,
        "exchanges": max((_exchanges(g) for g in spaces), default=0),
        "kernels": kernels,
        "no_compiler": why,
    }


def _name(m: Mapping) -> str:
    if not m.shared:
        return "global memory"
    if m.cluster:
        return "cluster"
    if m.group < 32:
        return "lanes of a warp"
    return {32: "a warp", 64: "two warps", 128: "four warps"}.get(m.group, "block")


def _walks(g: Geometry) -> int:
    return len(g.sweeps(range(g.bits)))


def _exchanges(g: Geometry) -> int:
    """How often in a layer amplitudes go to other blocks."""
    if not g.split:
        return 0
    return 1 if g.crossing else 2


def _kernel(m: Mapping, spec: KernelSpec, arch: int, used: tuple[int, int] | None) -> Data:
    sm = Multiprocessor.of(arch)
    least = m.held(spec.name == "backward", spec.dynamic_shared_bytes) or 1
    at_most = min(MOST, REGISTERS // (least * m.block) // 8 * 8)
    registers = used[0] if used else at_most
    warps = -(-spec.threads // 32)
    # A warp's registers come in pieces of 256.
    of_registers = REGISTERS // (-(-registers * 32 // 256) * 256) // warps
    of_shared = sm.fit(spec.dynamic_shared_bytes)
    held = min(of_registers, of_shared, sm.threads // (32 * warps), sm.blocks)
    return {
        "shared_bytes": spec.dynamic_shared_bytes,
        "registers": used[0] if used else None,
        "stack_bytes": used[1] if used else None,
        "at_most": at_most,
        "blocks_at_once": held,
        "occupancy": 32 * warps * held / sm.threads,
    }


def page(data: Data, batch: int) -> list[str]:
    """As lines."""
    major, minor = divmod(data["arch"], 10)
    head = f"On a GPU of compute capability {major}.{minor}"
    if data["why_not"]:
        return ["", f"{head}: no kernel, but another road, for {data['why_not']}"]
    lines = ["", f"{head}, {batch} sequences at once, in single precision"]
    threads = f"{data['threads']:,} threads for each sequence"
    each = _many(data["amplitudes"], "amplitude")
    lines.append(f"  mapping   {data['mapping']}: {threads}, {each} in each")
    beside = f", {data['sequences']} sequences in each" if data["sequences"] > 1 else ""
    cluster = f", clusters of {data['cluster']}" if data["cluster"] > 1 else ""
    blocks = _many(data["blocks"], "block")
    lines.append(f"  launch    {blocks} of {data['block']} threads{beside}{cluster}")
    if data["walks"]:
        lines.append(f"  a layer   walks along the state {data['walks']} times")
    if data["exchanges"]:
        share = {2: "half", 4: "three quarters", 8: "seven eighths"}[data["cluster"]]
        others = "the other block" if data["cluster"] == 2 else "other blocks"
        often = ("once", "twice")[data["exchanges"] - 1]
        lines.append(f"  a layer   sends {share} of the amplitudes to {others} {often}")
    for name, k in data["kernels"].items():
        registers = f"at most {k['at_most']} registers"
        if k["registers"] is not None:
            registers = f"{k['registers']} registers"
            registers += f" and {k['stack_bytes']} bytes of stack" if k["stack_bytes"] else ""
        lines.append(
            f"  {name:<9} {registers}, {k['shared_bytes'] / 1024:.1f} KiB shared: "
            f"{_many(k['blocks_at_once'], 'block')} on a multiprocessor, "
            f"{k['occupancy']:.0%} of its threads"
        )
    if data["no_compiler"]:
        lines.append(f"  registers are not known here: {data['no_compiler']}")
    return lines


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' if count > 1 else ''}"

"""What a kernel's call needs to know once for each size of its inputs."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

from qrlang.engine import nodes
from qrlang.engine.cpu.launch.made import Made
from qrlang.engine.nodes import Plan


class Sized:
    """A batch and the lengths of its sequences: where everything lies, and how much of it."""

    def __init__(self, made: Made, batch: int, times: Mapping[int, int], threads: int) -> None:
        plan, size = made.plan, made.fmt.size
        self.made, self.batch, self.threads = made, batch, threads
        words = {"seed": 0, "threads": threads}
        for i, spec in enumerate(plan.inputs):
            number = 8 if spec.token else size
            words[f"in{i}_t"] = spec.rows * number if spec.seq else 0
            words[f"in{i}_b"] = spec.rows * number * times.get(i, 1)
            if spec.seq:
                words[f"T{i}"] = times[i]
        self.outputs: list[tuple[int, ...]] = []
        for i, out in enumerate(plan.outputs):
            many = (times[out.clock] + out.extra,) if out.seq else ()
            self.outputs.append((batch, *many, out.rows))
            words[f"out{i}_t"] = out.rows * size
            words[f"out{i}_b"] = out.rows * size * (many[0] if many else 1)
        self.blocks, self.stride, self.work = made.lay_out(words, batch)
        self.words = words
        self.team = made.team and self.blocks < threads
        listed = (ctypes.c_int64 * len(made.layout.words))(
            *(words.get(name, 0) for name in made.layout.words)
        )
        self.template = bytes(listed)
        self.type = type(listed)


def vectors(plan: Plan, lanes: int, times: Mapping[int, int]) -> float:
    """Vector operations that a sequence takes, forward and backward."""
    lane_bits = lanes.bit_length() - 1

    def count(body: tuple[nodes.Node, ...]) -> float:
        total = 0.0
        for node in body:
            match node:
                case nodes.Loop():
                    steps = times[node.clock] + node.grown + node.extra
                    total += steps * count(node.body)
                case nodes.Circuit():
                    n = max(plan.spaces[node.space], lane_bits)
                    total += len(node.layers) * (8 * n + 22) * (1 << n) / lanes
                case nodes.Linear():
                    total += 3 * plan.slots[node.x] * plan.slots[node.out] / lanes
        return total

    return count(plan.body)

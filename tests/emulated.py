"""The emulator in place of a GPU: what launches there, launches here."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from cuda_emulator import Module, Served

from qrlang.engine.cuda.source import KernelSpec, Source


class Emulated:
    """A launcher whose memory is the host's. `order`: which threads go first. `banks`: what the
    last launch of each kernel cost in shared memory is kept in `served`."""

    device = torch.device("cpu")
    capturing = False

    def __init__(
        self, arch: int = 90, order: int = 0, races: bool = False, banks: bool = False
    ) -> None:
        self.arch, self.order, self.races, self.banks = arch, order, races, banks
        self.served: dict[str, list[Served]] = {}

    def load(self, source: Source) -> LoadedModule:
        return LoadedModule(self, Module(source.text, self.races, self.banks))


class LoadedModule:
    def __init__(self, launcher: Emulated, module: Module) -> None:
        self.launcher, self.module = launcher, module

    def launch(self, spec: KernelSpec, blocks: int, values: Sequence[int]) -> None:
        self.module.launch(
            spec.name, (blocks,), (spec.threads,), [ctypes.c_int64(v) for v in values],
            shared=spec.dynamic_shared_bytes, cluster=spec.cluster, order=self.launcher.order,
        )  # fmt: skip
        if self.launcher.banks:
            self.launcher.served[spec.name] = self.module.served()

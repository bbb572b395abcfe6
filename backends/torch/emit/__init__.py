"""Programs as readable Python: one file, one `nn.Module`."""

from qrlang.backends.torch.emit.module import emit_program

__all__ = ["emit_program"]

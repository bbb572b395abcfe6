"""Code for processors that this machine is not: it is made, and asks for nothing but two functions
of the C library."""

import shutil
import subprocess

import pytest

pytest.importorskip("torch")
pytest.importorskip("llvmlite")

import llvmlite.binding as llvm
from engine_programs import mixed_observables, qrnn

from qrlang.engine.cpu.llvm.asm import Format, Machine
from qrlang.engine.cpu.printer import Printer
from qrlang.engine.plan import plan


@pytest.mark.parametrize(
    ("triple", "magic", "n", "size"),
    [
        ("aarch64-unknown-linux-gnu", b"\x7fELF", 9, 8),
        ("arm64-apple-darwin24", b"\xcf\xfa\xed\xfe", 4, 4),
    ],
)
def test_arm(triple, magic, n, size, tmp_path):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple(triple).create_target_machine(cpu="apple-m1", reloc="pic")
    fmt = Format(Machine(triple, "apple-m1", "", 128, True, "none", 32), size)
    program = qrnn(n, observables=mixed_observables(n))
    made = target.emit_object(
        llvm.parse_assembly(Printer(plan(program), fmt, together=n < 5).print())
    )
    assert made.startswith(magic)
    if magic == b"\x7fELF" and shutil.which("nm"):
        (tmp_path / "made.o").write_bytes(made)
        said = subprocess.run(["nm", "-u", str(tmp_path / "made.o")],
                              capture_output=True, text=True, check=True)  # fmt: skip
        assert {w for w in said.stdout.split() if w != "U"} <= {"memcpy", "memset"}

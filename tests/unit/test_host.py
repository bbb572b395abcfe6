"""What a process may use of its machine: by trees of control groups as they are found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qrlang.system import host

V2 = "0::/jobs/mine\n"
V1 = "7:cpu,cpuacct:/jobs/mine\n4:memory:/jobs/mine\n0::/\n"


def tree(tmp_path: Path, mine: str, files: dict[str, str]) -> tuple[Path, Path]:
    (tmp_path / "self").write_text(mine)
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return tmp_path / "self", tmp_path / "groups"


@pytest.mark.parametrize(
    ("mine", "files", "memory", "cores"),
    [
        (V2, {"jobs/mine/memory.max": "max", "jobs/mine/cpu.max": "max 100000"}, 0, 0),
        (V2, {"jobs/mine/memory.max": "4096", "jobs/mine/cpu.max": "250000 100000"}, 4096, 2),
        # An outer group's limit holds for what is in it.
        (V2, {"jobs/mine/memory.max": "4096", "jobs/memory.max": "1024",
              "jobs/mine/cpu.max": "max 100000", "jobs/cpu.max": "50000 100000"}, 1024, 1),
        # A container's own group is the root of what is mounted there.
        ("0::/\n", {"memory.max": "2048", "cpu.max": "400000 100000"}, 2048, 4),
        (V2, {"memory.max": "2048", "cpu.max": "400000 100000"}, 2048, 4),
        (V1, {"memory/jobs/mine/memory.limit_in_bytes": "512",
              "cpu/jobs/mine/cpu.cfs_quota_us": "300000",
              "cpu/jobs/mine/cpu.cfs_period_us": "100000"}, 512, 3),
        (V1, {"memory/memory.limit_in_bytes": "9223372036854771712",
              "cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
         9223372036854771712, 0),
        ("", {"memory.max": "1"}, 0, 0),
        ("0::/../elsewhere\n", {"memory.max": "64"}, 64, 0),
        # What no system writes limits nothing, and hides no limit beside it.
        ("\nnone\n0::/\n", {"memory.max": "64", "cpu.max": "²"}, 64, 0),
        (V2, {"memory.max": "64", "jobs/memory.max": "", "jobs/mine/memory.max": "a lot",
              "jobs/cpu.max": "100000", "jobs/mine/cpu.max": "0 100000"}, 64, 0),
        ("0::/jobs/\0\n", {"memory.max": "64"}, 64, 0),
    ],
)  # fmt: skip
def test_limits(tmp_path: Path, mine: str, files: dict[str, str], memory: int, cores: int) -> None:
    where = tree(tmp_path, mine, files)
    assert host._limit(*where) == memory and host._quota(*where) == cores


def test_no_control_groups(tmp_path: Path) -> None:
    assert host._limit(tmp_path / "none", tmp_path) == host._quota(tmp_path / "none", tmp_path) == 0


def test_the_least_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name, limit in (("none", 0), ("less", there // 2), ("more", there * 2)):
        (tmp_path / name).mkdir()
        mine, groups = tree(tmp_path / name, "0::/\n", {"memory.max": str(limit or "max")})
        monkeypatch.setattr(host, "_MINE", mine)
        monkeypatch.setattr(host, "_CGROUPS", groups)
        assert host.memory() == min(there, limit or there)
    assert 1 <= host.cores() <= (os.cpu_count() or 1)

"""Puts the helpers of these tests on the path, and their kernels into a cache of their own."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QRLANG_CACHE_DIR", str(tmp_path_factory.mktemp("kernels")))
        patch.setenv("QRLANG_COMPILE", "inside")  # a process for each kernel takes its time
        yield

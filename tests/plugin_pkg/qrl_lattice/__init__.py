"""Looking for .qrl files must not run this: if it does, the test sees the mark."""

import os
from pathlib import Path

if mark := os.environ.get("QRL_LATTICE_MARK"):
    Path(mark).write_text("somebody ran the package's code\n", encoding="utf-8")

"""`torchrun --nproc-per-node 2 -m qrlang.training FILE …`: `qrlc train` in several processes."""

import sys

from qrlang.cli.main import run

if __name__ == "__main__":
    sys.exit(run(["train", *sys.argv[1:]]))

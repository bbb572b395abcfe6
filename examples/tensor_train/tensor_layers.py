"""A tensor-train layer: a big matrix as a chain of small tensors. Runs where the model trains."""

import torch


class TensorTrain(torch.nn.Module):
    """784 = 4 * 7 * 4 * 7 numbers in, 8 = 2 * 2 * 2 * 1 out; `rank` is the width of the chain."""

    def __init__(self, rank: int = 4) -> None:
        super().__init__()
        ranks = (1, rank, rank, rank, 1)
        sides = ((4, 2), (7, 2), (4, 2), (7, 1))
        self.cores = torch.nn.ParameterList(
            torch.randn(ranks[k], rows, columns, ranks[k + 1]) / (rows * ranks[k]) ** 0.5
            for k, (rows, columns) in enumerate(sides)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.reshape(-1, 1, 1, 784)  # batch, out so far, rank, in to come
        for core in self.cores:
            rank, rows = core.shape[:2]
            y = y.reshape(len(y), -1, rank, rows, y.shape[-1] // rows)
            y = torch.einsum("boric,rips->bopsc", y, core).flatten(1, 2)
        return y.reshape(*x.shape[:-1], 8)

"""Data sets by name, as columns for a model's inputs and targets.

data = open_data("mnist_rows", {}, ports_of(program), data_dir=folder)
for batch in data.batches("train", 64, seed=0, epoch=3):
    batch.arrays, batch.lengths
"""

from qrlang.errors import DataError
from qrlang.training.data.batches import RecordBatch
from qrlang.training.data.dataset import SPLITS, DataSet
from qrlang.training.data.opening import open_data
from qrlang.training.data.ports import Port, ports_of
from qrlang.training.data.vocabulary import Vocabulary

__all__ = [
    "SPLITS",
    "DataError",
    "DataSet",
    "Port",
    "RecordBatch",
    "Vocabulary",
    "open_data",
    "ports_of",
]

"""Training-dynamics-aware data set pruning.

A `Recorder` writes the training dynamics of your own training loop, `score` computes every sample's score
from them, and `select` chooses the samples to keep. The programs tdds-train, tdds-score, tdds-train-subset,
tdds-sweep and tdds-report read and write the same files; `train` and `sweep` run two of them. `tdds.torch`
has what loops in PyTorch need. docs/python.md has examples.

Errors are `Error` (a RuntimeError): bad data, a full disk; and its subclass `UsageError` (a ValueError as
well): an unknown name, a number out of range. Both are one sentence that says what failed, where, and how to
fix it.
"""

from ._export import export_npy
from ._files import Dynamics, read_dynamics, read_mask, write_mask
from ._native import _tdds
from ._programs import Run, sweep, train
from ._recorder import Recorder
from ._scores import Method, methods, score, select

Error = _tdds.Error
UsageError = _tdds.UsageError

__all__ = [
    "Dynamics",
    "Error",
    "Method",
    "Recorder",
    "Run",
    "UsageError",
    "export_npy",
    "methods",
    "read_dynamics",
    "read_mask",
    "score",
    "select",
    "sweep",
    "train",
    "write_mask",
]

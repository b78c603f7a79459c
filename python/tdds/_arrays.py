"""Arguments: arrays of any framework as arrays on the host, and numbers."""

import operator
from typing import Any

import numpy as np

from ._native import _tdds

_CPU = 1  # DLPack's kDLCPU


def on_host(array: Any, name: str) -> Any:
    """Returns the array without its gradient, in the memory of the host.

    Lists and tuples become numpy arrays. Raises UsageError, which names the argument, for anything else that
    has neither DLPack nor the buffer protocol.
    """
    if isinstance(array, (list, tuple)):
        try:
            return np.asarray(array)
        except ValueError:
            raise _tdds.UsageError(f"`{name}` has rows of different lengths; give an array") from None
    if hasattr(array, "detach"):  # torch exports no tensor that requires a gradient
        array = array.detach()
    if hasattr(array, "__dlpack_device__"):
        try:
            device = int(array.__dlpack_device__()[0])
        except (ValueError, TypeError, RuntimeError, BufferError):
            raise _tdds.UsageError(
                f"`{name}` has no values in memory that can be read; give an array"
            ) from None
        if device == _CPU:
            return array
        return array.cpu() if hasattr(array, "cpu") else np.asarray(array)
    try:
        memoryview(array)
    except TypeError:
        raise _tdds.UsageError(
            f"`{name}` is of type {type(array).__name__}; give an array, such as numpy's or torch's"
        ) from None
    return array


def whole(value: Any, name: str, bits: int = 31) -> int:
    """Returns a whole number. Raises UsageError, which names the argument, for anything else."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 1 << bits
    if abs(number) >= 1 << bits:
        raise _tdds.UsageError(f"`{name}` is {value!r}; give a whole number of less than {bits + 1} bits")
    return number


def real(value: Any, name: str) -> float:
    """Returns a number. Raises UsageError, which names the argument, for anything else."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise _tdds.UsageError(f"`{name}` is {value!r}; give a number") from None

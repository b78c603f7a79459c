"""Arrays of any framework as arrays on the host."""

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
        return np.asarray(array)
    if hasattr(array, "detach"):  # torch exports no tensor that requires a gradient
        array = array.detach()
    if hasattr(array, "__dlpack_device__"):
        if int(array.__dlpack_device__()[0]) == _CPU:
            return array
        return array.cpu() if hasattr(array, "cpu") else np.asarray(array)
    try:
        memoryview(array)
    except TypeError:
        raise _tdds.UsageError(
            f"`{name}` is of type {type(array).__name__}; give an array, such as numpy's or torch's"
        ) from None
    return array

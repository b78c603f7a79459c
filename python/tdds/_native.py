"""Loads the compiled module.

Waiting OpenMP threads should spin briefly and then sleep (kernels/runtime/thread_waiting.h): spinning ones
take time from the threads of the training. GCC's libgomp reads the setting from the environment when it is
loaded.
"""

import os

_POLICIES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")

_undecided = not any(name in os.environ for name in _POLICIES)
if _undecided:
    os.environ["GOMP_SPINCOUNT"] = "1000"
try:
    from . import _tdds
finally:
    if _undecided:
        del os.environ["GOMP_SPINCOUNT"]

__all__ = ["_tdds"]

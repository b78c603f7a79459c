#!/usr/bin/env python3
"""Stands in for a Python with torch: answers the requests of `bench_kernels --torch` with a second for each run.

It has the ops of bench/torch_ops.py, whose path is its first argument. The op `add` fails, and `relu` ends the process
if TORCH_STAND_IN_ENDS is set. Requests are kept in the file TORCH_STAND_IN_REQUESTS.
"""

import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(sys.argv[1]).parent))
import torch_ops  # noqa: E402

print(json.dumps({"torch": "0.0", "ops": torch_ops.Peers._names(), "cuda": False}), flush=True)
with open(os.environ["TORCH_STAND_IN_REQUESTS"], "w") as requests:
    for line in sys.stdin:
        requests.write(line)
        requests.flush()
        op = json.loads(line)["op"]
        if op == "relu" and "TORCH_STAND_IN_ENDS" in os.environ:
            sys.exit("the stand-in ends")
        print(json.dumps({"failed": "planted"} if op == "add" else {"seconds": [1.0, 1.0, 1.5]}), flush=True)

#!/usr/bin/env python3
"""The error of scores against float64, by the network's confidence in the sample: tdds-score and the official float32 code.

Both read the same .npy files. Needs torch and numpy.

    python bench/score_error.py
"""

import pathlib
import sys
import tempfile
from types import SimpleNamespace

import numpy as np

import measure
from compare_score import ROOT, commands, scores_by_sample

sys.path.insert(0, str(ROOT / "tests/golden"))
from golden_scores import CONFIDENCES, dynamics, score_float64, series_float64  # noqa: E402

SAMPLES, CLASSES = 4000, 100
ARGS = SimpleNamespace(epochs=20, window=10, decay=0.9)


def write(folder, logits, indexes):
    for t, (z, index) in enumerate(zip(logits, indexes)):
        np.save(folder / f"{t}_Output.npy", z)
        np.save(folder / f"{t}_Loss.npy", np.zeros(len(z), np.float32))
        np.save(folder / f"{t}_Index.npy", index)


def main():
    logits, indexes, confidence = dynamics(SAMPLES, CLASSES, ARGS.epochs, seed=1)
    exact = score_float64(series_float64(logits, indexes), ARGS.epochs, ARGS.window, ARGS.decay)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        write(scratch, logits, indexes)
        for command in commands(scratch, scratch, ARGS).values():
            measure.run_program(command)
        found = {name: scores_by_sample(scratch / folder, ARGS)
                 for name, folder in (("tdds-score", "ours"), ("official", "official"))}
    rows, kept = [], []
    for p in CONFIDENCES:
        chosen = confidence == p
        errors = {name: np.abs(s - exact)[chosen] / exact[chosen] for name, s in found.items()}
        kept.append({"confidence": p, "score": float(np.median(exact[chosen]))}
                    | {name: {"median": float(np.median(e)), "max": float(e.max())} for name, e in errors.items()})
        rows.append((f"{p:.7f}", f"{np.median(exact[chosen]):.1e}")
                    + tuple(f"{f(e):.1e}" for e in errors.values() for f in (np.median, np.max)))
    print(measure.table(("confidence", "score", "tdds-score median", "max", "official median", "max"), rows))
    measure.keep("score_error", {"relative_error": kept, "environment": measure.environment(numpy=np.__version__)})


if __name__ == "__main__":
    main()

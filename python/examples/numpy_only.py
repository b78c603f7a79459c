#!/usr/bin/env python3
"""Records, scores and selects with numpy alone: softmax regression on points of five classes, in a second.

python python/examples/numpy_only.py [FOLDER]     FOLDER: for the recording; default: runs/numpy_only
"""

import sys

import numpy as np

import tdds

SAMPLES, CLASSES, FEATURES, EPOCHS, BATCH, RATE = 2000, 5, 20, 30, 50, 0.1


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def main() -> None:
    folder = sys.argv[1] if len(sys.argv) > 1 else "runs/numpy_only"
    rng = np.random.default_rng(0)
    truth = rng.integers(0, CLASSES, SAMPLES)
    centres = rng.normal(size=(CLASSES, FEATURES))
    points = (centres[truth] + rng.normal(size=(SAMPLES, FEATURES))).astype(np.float32)
    wrong = rng.random(SAMPLES) < 0.1  # a tenth has a wrong label
    labels = np.where(wrong, (truth + rng.integers(1, CLASSES, SAMPLES)) % CLASSES, truth)

    weights = np.zeros((FEATURES, CLASSES), np.float32)
    with tdds.Recorder(f"{folder}/dynamics.tdds", SAMPLES, CLASSES, labels) as recorder:
        if recorder.epoch > 0:  # the weights were not saved, so the training cannot be continued
            sys.exit(f"{folder} holds a recording already; remove it or give another folder")
        for _ in range(EPOCHS):
            for ids in np.array_split(rng.permutation(SAMPLES), SAMPLES // BATCH):
                logits = points[ids] @ weights
                recorder.update(ids, logits)  # before the step, as the loss sees them
                error = softmax(logits) - np.eye(CLASSES)[labels[ids]]
                weights -= RATE * (points[ids].T @ error / len(ids)).astype(np.float32)
            recorder.end_epoch()

    print(f"{SAMPLES} samples, {100 * wrong.mean():.1f} % with a wrong label; half of them are left out:")
    for method in ("tdds", "el2n", "aum", "random"):
        scores = tdds.score(folder, method, T=EPOCHS, J=10)
        kept = tdds.select(scores, prune=0.5)
        print(f"  {method:8} keeps {len(kept)}, {100 * wrong[kept].mean():.1f} % with a wrong label")
    mask, _ = tdds.write_mask(f"{folder}/masks", tdds.score(folder, T=EPOCHS, J=10), T=EPOCHS, J=10)
    print(f"The order of tdds is in {mask}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes training dynamics in the format of the official train.py: e_Loss.npy, e_Output.npy, e_Index.npy, e = 0 .. T-1.

They are random but similar to those of a run: each sample's margin grows with the epochs at its own speed, some samples
are never learned, every visit has noise (augmentation), and each epoch visits the samples in another order. Needs numpy.

    python bench/make_dynamics.py --out /tmp/dynamics --samples 50000 --classes 100 --epochs 30      (612 MB)
"""

import argparse
import pathlib

import numpy as np


def epoch_logits(rng, label, speed, features, epoch, epochs):
    samples, classes = features.shape
    z = features + 0.5 * rng.standard_normal((samples, classes), dtype=np.float32)
    margin = 18.0 * speed * (1.0 - np.exp(-4.0 * (epoch + 1) / epochs)) + rng.normal(0.0, 1.0, samples)
    z[np.arange(samples), label] += margin.astype(np.float32)
    return z


def cross_entropy(z, label):
    shifted = z - z.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(z)), label]


def write(folder, samples, classes, epochs, seed):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    label = rng.integers(classes, size=samples)
    speed = rng.beta(2.0, 1.0, samples) * (rng.random(samples) > 0.03)
    features = rng.standard_normal((samples, classes), dtype=np.float32)
    for epoch in range(epochs):
        order = rng.permutation(samples)
        z = epoch_logits(rng, label, speed, features, epoch, epochs)[order]
        np.save(folder / f"{epoch}_Output.npy", z)
        np.save(folder / f"{epoch}_Loss.npy", cross_entropy(z, label[order]).astype(np.float32))
        np.save(folder / f"{epoch}_Index.npy", order.astype(np.int64))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--samples", type=int, default=50000)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    write(args.out, args.samples, args.classes, args.epochs, args.seed)


if __name__ == "__main__":
    main()

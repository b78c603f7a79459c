#!/usr/bin/env python3
"""The reference for tdds-score: the procedure of the official importance_evaluation.py, in numpy and PyTorch.

A reimplementation of that script: it holds the whole trajectory in memory, computes each window's softmax in float32, sorts
it by sample with index_add into zeros, and repeats all of this for the next window. Flags, file names, types and the order
of operations are those of the official script, so that time, memory and rounding can be compared.
"""

import argparse
import os

import numpy as np
import torch


def softmax(x):
    shifted = np.exp(x - np.amax(x, axis=2, keepdims=True))
    return shifted / np.sum(shifted, axis=2, keepdims=True)


def by_sample(probabilities, index):
    zeros = torch.zeros_like(torch.tensor(probabilities))
    return zeros.index_add(0, torch.tensor(index, dtype=torch.int64), torch.tensor(probabilities))


def window_norm(logits, indexes):
    """The L2 norm over a window of each sample's divergence from the window's mean."""
    p = [by_sample(row, index) for row, index in zip(softmax(logits), indexes)]
    divergences = []
    for before, after in zip(p, p[1:]):
        log_ratio = torch.log(after + 1e-8) - torch.log(before + 1e-8)
        divergences.append(torch.abs(torch.multiply(after, log_ratio)).sum(dim=1))
    divergences = np.array([d.numpy() for d in divergences])
    mean = divergences.sum(0) / (len(p) - 1)
    return np.linalg.norm(np.array([row - mean for row in divergences]), axis=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dynamics_path", default="./checkpoint/all-dataset/npy/")
    parser.add_argument("--mask_path", default="./checkpoint/generated_mask/")
    parser.add_argument("--trajectory_len", type=int, default=10)
    parser.add_argument("--window_size", type=int, default=10)
    parser.add_argument("--decay", type=float, default=0.9)
    args = parser.parse_args()
    T, J = args.trajectory_len, args.window_size

    def load(kind):
        return np.array([np.load(os.path.join(args.dynamics_path, f"{t}_{kind}.npy")) for t in range(T)])

    logits, _, indexes = load("Output"), load("Loss"), load("Index")
    averages = []
    for k in range(T - J + 1):
        norm = window_norm(logits[k:k + J], indexes[k:k + J])
        averages.append(norm * args.decay * (1 - args.decay) ** (T - J - k))
    score = sum(np.array(averages), 0)

    os.makedirs(args.mask_path, exist_ok=True)
    np.save(os.path.join(args.mask_path, f"data_mask_win{J}_ep{T}.npy"), score.argsort())
    np.save(os.path.join(args.mask_path, f"score_win{J}_ep{T}.npy"), np.sort(score))


if __name__ == "__main__":
    main()

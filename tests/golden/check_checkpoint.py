#!/usr/bin/env python3
"""Loads a model file of tdds-train into the PyTorch model, strictly, and compares evaluation logits.

    python tests/golden/check_checkpoint.py runs/model_last.safetensors --arch resnet18 --width 0.125 \\
        [--images images.npy --logits logits.npy]

The tensors of a checkpoint have prefixes; those under "model." are used.
images.npy: float32 [N,3,H,W], normalised; logits.npy: float32 [N,K], the results of the engine's evaluation.
Exit code 0 if the state fits and the logits agree to 1e-5, norm of the difference / norm. Needs torch, safetensors.
"""

import argparse
import sys

import numpy as np
import safetensors.torch
import torch

from official_net import ARCHITECTURES, make_net

TOLERANCE = 1e-5


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--arch", default="resnet18", choices=ARCHITECTURES)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--images")
    parser.add_argument("--logits")
    args = parser.parse_args()
    tensors = safetensors.torch.load_file(args.checkpoint)
    if any(name.startswith("model.") for name in tensors):
        tensors = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    net = make_net(args.arch, tensors["fc.bias"].numel(), args.width)
    net.load_state_dict(tensors, strict=True)
    print(f"{len(tensors)} tensors fit {args.arch} strictly")
    if not args.images:
        return
    net.eval()
    with torch.no_grad():
        expected = net.double()(torch.from_numpy(np.load(args.images)).double()).numpy()
    difference = np.linalg.norm(np.load(args.logits) - expected) / np.linalg.norm(expected)
    print(f"evaluation logits differ by {difference:.1e} of their norm")
    if not difference <= TOLERANCE:
        sys.exit(f"more than {TOLERANCE}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Checks that no training step is faster than the floor that --dry_run prints. Prints a table; fails if a floor is false.

    bench/check_floor.py [--build build/release] [--device cpu] [--threads 2]

Each row is ResNet-18 at batch 100 with dynamics: the floor of tdds-train --dry_run, and the best step of bench_step. Both
are measured, and other work on the machine can only lower the measured peak from which the floor is computed. So a floor
counts as false only if a step is more than a tenth faster.
"""

import argparse
import json
import pathlib
import re
import sys

import measure

ROOT = pathlib.Path(__file__).resolve().parent.parent
BATCH, MARGIN = 100, 1.1
CASES = [(1, "fp32", 6), (0.25, "fp32", 30), (0.125, "fp32", 30), (1, "bf16", 10), (0.25, "bf16", 30)]


def floor_of(build, common):
    # Planning for CIFAR-100 needs no data.
    out, _, _ = measure.run_program([build / "apps/tdds-train", "--dry_run", "--dynamics", "--dataset", "cifar100",
                                     "--data_path", "/nonexistent", *common])
    return float(re.search(r"at most (\d+) images/s", out)[1]), re.search(r"Floor of a training step \((.*)\)", out)[1]


def best_step(build, common, steps):
    out, _, _ = measure.run_program([build / "bench/bench_step", *common, "--steps", steps])
    return BATCH / json.loads(out)["seconds_min"]


def has_bf16(device):
    return device == "cuda" or "avx512_bf16" in pathlib.Path("/proc/cpuinfo").read_text().split()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    rows, false_floors = [], 0
    for width, precision, steps in CASES:
        if precision == "bf16" and not has_bf16(args.device):
            continue
        common = ["--device", args.device, "--threads", args.threads, "--batch-size", BATCH, "--width", width,
                  "--precision", precision]
        floor, source = floor_of(args.build, common)
        step = best_step(args.build, common, steps)
        false_floors += step > MARGIN * floor
        rows.append((width, precision, f"{floor:.0f}", f"{step:.0f}", f"{100 * step / floor:.0f} %"))
    print(source.partition(", and reads")[0] + "\n")
    print(measure.table(["width", "precision", "floor, images/s", "best step, images/s", "of the floor"], rows))
    return f"{false_floors} floors are false" if false_floors else 0


if __name__ == "__main__":
    sys.exit(main())

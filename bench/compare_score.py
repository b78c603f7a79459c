#!/usr/bin/env python3
"""Compares tdds-score with the official procedure on the same files: time, peak memory, and whether the scores agree.

The two take turns, so that other work on the machine affects both. Needs torch and numpy.

    python bench/compare_score.py [--rounds 3] [--epochs 30] [--dynamics FOLDER]
"""

import argparse
import pathlib
import sys
import tempfile

import numpy as np
import torch

import make_dynamics
import measure

ROOT = pathlib.Path(__file__).resolve().parent.parent
TDDS_SCORE = ROOT / "build/release/apps/tdds-score"
OFFICIAL = ROOT / "bench/official_score.py"


def commands(dynamics, out, args):
    flags = ["--dynamics_path", f"{dynamics}/", "--trajectory_len", args.epochs, "--window_size", args.window,
             "--decay", args.decay, "--mask_path"]
    return {"tdds-score": [TDDS_SCORE, *flags, f"{out / 'ours'}/"],
            "official": [sys.executable, OFFICIAL, *flags, f"{out / 'official'}/"]}


def scores_by_sample(folder, args):
    suffix = f"_win{args.window}_ep{args.epochs}.npy"
    order, ranked = np.load(folder / ("data_mask" + suffix)), np.load(folder / ("score" + suffix))
    scores = np.empty(len(order))
    scores[order] = ranked
    return scores


def agreement(out, args):
    """The largest |difference| / (3e-6 + 2e-4 * score): at most 1 if they agree within the accuracy of float32."""
    ours, official = scores_by_sample(out / "ours", args), scores_by_sample(out / "official", args)
    return float((np.abs(ours - official) / (3e-6 + 2e-4 * ours)).max())


def compare(dynamics, args):
    runs = {"tdds-score": [], "official": []}
    with tempfile.TemporaryDirectory() as out:
        out = pathlib.Path(out)
        for _ in range(args.rounds):
            for name, command in commands(dynamics, out, args).items():
                _, seconds, peak = measure.run_program(command)
                runs[name].append((seconds, peak))
                print(f"{name}: {seconds:.2f} s, {peak / 1e6:.0f} MB", file=sys.stderr)
        worst = agreement(out, args)
    seconds = {name: measure.median([s for s, _ in r]) for name, r in runs.items()}
    peak = {name: max(p for _, p in r) for name, r in runs.items()}
    return {"samples": args.samples, "classes": args.classes, "epochs": args.epochs, "window": args.window,
            "seconds": seconds, "peak_bytes": peak, "rounds": {n: [s for s, _ in r] for n, r in runs.items()},
            "speedup": seconds["official"] / seconds["tdds-score"], "worst_difference_over_bound": worst}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=50000)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--window", type=int, default=10)
    parser.add_argument("--decay", type=float, default=0.9)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dynamics", type=pathlib.Path, help="a folder for the input files, which are made once and reused")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        dynamics = args.dynamics or pathlib.Path(scratch)
        if not (dynamics / f"{args.epochs - 1}_Output.npy").exists():
            make_dynamics.write(dynamics, args.samples, args.classes, args.epochs, seed=0)
        result = compare(dynamics, args)
    version = measure.run_program([TDDS_SCORE, "--version"])[0].strip()
    result["environment"] = measure.environment(tdds=version, torch=torch.__version__, numpy=np.__version__)
    rows = [(name, f"{result['seconds'][name]:.2f}", f"{result['peak_bytes'][name] / 1e6:.0f}")
            for name in ("tdds-score", "official")]
    print(f"\n{args.samples} samples x {args.classes} classes x {args.epochs} epochs, J = {args.window}\n")
    print(measure.table(("program", "seconds (median)", "peak MB"), rows))
    print(f"\n{result['speedup']:.1f} times faster; worst difference {result['worst_difference_over_bound']:.2f} "
          "of the bound 3e-6 + 2e-4 * score")
    measure.keep("score", result)


if __name__ == "__main__":
    main()

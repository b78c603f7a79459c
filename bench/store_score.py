#!/usr/bin/env python3
"""Measures the dynamics store: its size, and the time and peak memory of tdds-score on synthetic series.

    python bench/store_score.py [--rounds 3] [--scratch FOLDER]

- every pair (T, J), T = 10, 20 .. 200 and J = 5, 10, 20, of 200 epochs of 50,000 samples
- 90 epochs of 1.28 million samples (the size of ImageNet), KL only: one pair, and three pairs
- the sizes of stores of 50,000 samples x 200 epochs, computed from the header

Needs numpy. The 59 pairs write 59 masks and score files, each flushed to the disk; the time includes this.
"""

import argparse
import json
import pathlib
import struct
import tempfile
import zlib

import numpy as np

import measure

ROOT = pathlib.Path(__file__).resolve().parent.parent
TDDS_SCORE = ROOT / "build/release/apps/tdds-score"
ALIGNMENT = 64
BYTES = {"kl": 4, "true_kl": 4, "loss": 4, "log_other": 4, "entropy": 4, "el2n": 4, "correct": 1, "feature_norm": 4}


def padded(data):
    return data + bytes(-len(data) % ALIGNMENT)


def header_bytes(samples, classes, fields):
    """The bytes before the first record, and the length of a record (engine/io/dynamics_store.h)."""
    described, offset = [], 0
    for name in fields:
        described.append({"name": name, "type": "|u1" if BYTES[name] == 1 else "<f4", "offset": offset})
        offset += -(-samples * BYTES[name] // ALIGNMENT) * ALIGNMENT
    about = json.dumps({"samples": samples, "classes": classes, "dataset": "made up", "fingerprint": "none", "seed": 0,
                        "fields": described, "labels": samples}).encode()
    labels = (np.arange(samples) % classes).astype("<i4").tobytes()
    body = padded(about) + padded(labels)
    crc = 0

    def prefix():
        return padded(struct.pack("<8sIIIIQQ", b"TDDSDYN1", 1, len(about), crc, 0, ALIGNMENT + len(body),
                                  ALIGNMENT + offset))

    crc = zlib.crc32(body, zlib.crc32(prefix()))
    return prefix() + body, ALIGNMENT + offset


def store_bytes(samples, classes, epochs, fields):
    head, record = header_bytes(samples, classes, fields)
    return len(head) + epochs * record


def write_kl_store(path, samples, classes, epochs):
    """d of every magnitude that occurs in a run, from 1e-6 to 3, smaller in later epochs."""
    rng = np.random.default_rng(0)
    level = rng.uniform(-6, 0.5, samples).astype(np.float32)
    with open(path, "wb") as file:
        file.write(header_bytes(samples, classes, ["kl"])[0])
        for epoch in range(epochs):
            shrunk = level * np.float32(0.5 + 0.5 * epoch / epochs)
            kl = np.power(np.float32(10), shrunk + rng.normal(0, 0.3, samples).astype(np.float32)) if epoch else 0 * level
            payload = padded(kl.astype("<f4").tobytes())

            def record(crc, payload=payload, epoch=epoch):
                return padded(struct.pack("<4sIIIQI", b"EPOC", epoch, 0, zlib.crc32(payload), len(payload), crc))

            file.write(record(zlib.crc32(record(0))) + payload)


def score(store, lengths, windows, rounds):
    with tempfile.TemporaryDirectory(dir=store.parent) as masks:
        command = [TDDS_SCORE, "--dynamics_path", store, "--mask_path", masks, "--trajectory_len",
                   ",".join(map(str, lengths)), "--window_size", ",".join(map(str, windows))]
        runs = [measure.run_program(command)[1:] for _ in range(rounds)]
    return {"seconds": measure.median([seconds for seconds, _ in runs]), "rounds": [seconds for seconds, _ in runs],
            "peak_bytes": max(peak for _, peak in runs)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scratch", type=pathlib.Path, help="folder for temporary stores; 600 MB")
    args = parser.parse_args()
    default = [name for name in BYTES if name != "feature_norm"]
    result = {"store_bytes_50000x200": {"kl alone": store_bytes(50000, 100, 200, ["kl"]),
                                        "default": store_bytes(50000, 100, 200, default),
                                        "with feature_norm": store_bytes(50000, 100, 200, list(BYTES))}}
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        cifar, imagenet = pathlib.Path(scratch) / "cifar/dynamics.tdds", pathlib.Path(scratch) / "imagenet/dynamics.tdds"
        cifar.parent.mkdir()
        imagenet.parent.mkdir()
        write_kl_store(cifar, 50000, 100, 200)
        assert cifar.stat().st_size == result["store_bytes_50000x200"]["kl alone"]
        result["all pairs, 50000x200"] = score(cifar, range(10, 201, 10), [5, 10, 20], args.rounds)
        write_kl_store(imagenet, 1280000, 1000, 90)
        result["imagenet_store_bytes"] = imagenet.stat().st_size
        result["one pair, 1280000x90"] = score(imagenet, [90], [10], 1)
        result["three pairs, 1280000x90"] = score(imagenet, [30, 60, 90], [10], 1)
    version = measure.run_program([TDDS_SCORE, "--version"])[0].strip()
    result["environment"] = measure.environment(tdds=version, numpy=np.__version__)
    rows = [(name, f"{run['seconds']:.2f}", f"{run['peak_bytes'] / 1e6:.0f}") for name, run in result.items()
            if isinstance(run, dict) and "seconds" in run]
    print(measure.table(("scores of", "seconds", "peak MB"), rows))
    for name, size in result["store_bytes_50000x200"].items():
        print(f"store of 50,000 x 200, {name}: {size / 1e6:.1f} MB")
    measure.keep("store_score", result)


if __name__ == "__main__":
    main()

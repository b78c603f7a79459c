#!/usr/bin/env python3
"""Reads the dynamics store `dynamics.tdds` that tdds-train writes. Needs only numpy. engine/io/dynamics_store.h describes
the format.

    from read_dynamics import read_dynamics
    run = read_dynamics("run/dynamics.tdds")
    run.header                # dict: samples, classes, dataset, fingerprint, seed, fields
    run.labels                # int32 [N], or None
    run["loss"]               # float32 [T, N], by epoch and sample id; memory-mapped, not copied
    run["kl"][1:]             # the series d_t of TDDS; kl of epoch 0 is 0

    python scripts/read_dynamics.py run/dynamics.tdds     # checks the file and prints a summary
"""

import json
import struct
import sys
import zlib

import numpy as np

ALIGNMENT = 64


class Dynamics:
    def __init__(self, header, labels, fields, epochs):
        self.header, self.labels, self.epochs = header, labels, epochs
        self._fields = fields

    def __getitem__(self, name):
        if name not in self._fields:
            raise KeyError(f"{name} was not recorded; the fields are {', '.join(self._fields)}")
        return self._fields[name]

    def __contains__(self, name):
        return name in self._fields

    def keys(self):
        return self._fields.keys()


def aligned(size):
    return -(-size // ALIGNMENT) * ALIGNMENT


def crc_without(block, at):
    """CRC-32 of the bytes, with the four at `at` replaced by zeros."""
    return zlib.crc32(block[at + 4:], zlib.crc32(bytes(4), zlib.crc32(block[:at])))


def read_dynamics(path, check=True):
    """Returns Dynamics. Raises ValueError if the file is damaged; an incomplete last record (of a run that is still going on
    or was killed) is ignored.

    check=False skips the checksums of the records, so that only the data used is read from the disk.
    """
    data = np.memmap(path, dtype=np.uint8, mode="r")
    if data[:8].tobytes() != b"TDDSDYN1":
        raise ValueError(f"{path} is not a dynamics store")
    if len(data) < 64:
        raise ValueError(f"{path} is truncated within its header")
    version, json_bytes, crc, _, begin, record_bytes = struct.unpack("<IIIIQQ", data[8:40].tobytes())
    if version != 1:
        raise ValueError(f"{path} is of version {version}; this script reads version 1")
    if begin > len(data) or crc_without(data[:begin].tobytes(), 16) != crc:
        raise ValueError(f"{path} has a damaged header")
    header = json.loads(data[64:64 + json_bytes].tobytes())
    labels = None
    if header["labels"]:
        at = 64 + aligned(json_bytes)
        labels = data[at:at + 4 * header["labels"]].view("<i4")

    epochs = 0
    while begin + (epochs + 1) * record_bytes <= len(data):
        record = data[begin + epochs * record_bytes:begin + (epochs + 1) * record_bytes]
        head = record[:64].tobytes()
        if not any(head):
            break
        magic, epoch, _, payload_crc, _, head_crc = struct.unpack("<4sIIIQI", head[:28])
        sound = magic == b"EPOC" and epoch == epochs and crc_without(head, 24) == head_crc
        if not sound or (check and zlib.crc32(record[64:]) != payload_crc):
            raise ValueError(f"{path} is damaged in epoch {epochs}")
        epochs += 1

    records = data[begin:begin + epochs * record_bytes].reshape(epochs, record_bytes)
    fields = {}
    for field in header["fields"]:
        at = 64 + field["offset"]
        size = header["samples"] * np.dtype(field["type"]).itemsize
        fields[field["name"]] = records[:, at:at + size].view(field["type"])
    return Dynamics(header, labels, fields, epochs)


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    run = read_dynamics(sys.argv[1])
    print(f"{run.header['dataset']}: {run.header['samples']} samples, {run.header['classes']} classes, {run.epochs} "
          f"epochs, seed {run.header['seed']}, data {run.header['fingerprint'][:16]}")
    for name in run.keys():
        values = run[name]
        if run.epochs:
            print(f"  {name:10} first epoch {values[0].mean():.6g}, last {values[-1].mean():.6g} on average")


if __name__ == "__main__":
    main()

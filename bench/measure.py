"""Shared by the benchmark scripts: timing a program, describing the machine, printing and saving results."""

import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys

RESULTS = pathlib.Path(__file__).parent / "results"


# The peak memory of a process includes its parent's memory at the fork, so a small process starts the program.
LAUNCHER = """
import os, sys, time
start = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ), 0)
seconds = time.perf_counter() - start
os.write(int(sys.argv[1]), f"{seconds} {usage.ru_maxrss * 1024}".encode())
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


def run_program(command):
    """(standard output, wall seconds, peak resident bytes) of one run; raises if it fails."""
    reader, writer = os.pipe()
    command = [str(word) for word in command]
    process = subprocess.run([sys.executable, "-I", "-S", "-c", LAUNCHER, str(writer), *command], pass_fds=[writer],
                             stdout=subprocess.PIPE, text=True)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        usage = pipe.read().split()
    if process.returncode:
        raise SystemExit(f"{command[0]} failed:\n{process.stdout}")
    return process.stdout, float(usage[0]), int(usage[1])


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def debian():
    """"12", "13", ...; "none" on another system."""
    release = pathlib.Path("/etc/debian_version")
    return release.read_text().split(".")[0].strip() if release.exists() else "none"


def environment(**versions):
    flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "debian": debian(),
        "isa": "avx512" if "avx512f" in flags else "avx2" if "avx2" in flags else "other",
        "load_average": os.getloadavg()[0],
        "versions": versions,
    }


def median(values):
    return statistics.median(values)


def table(header, rows):
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths)) + " |" for row in cells]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def keep(name, result):
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwritten: {path}")

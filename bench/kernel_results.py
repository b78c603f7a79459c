"""Reads results of bench_kernels: JSON files in Google Benchmark's format with this project's counters."""

import dataclasses
import json
import math
import pathlib
import re
import statistics
import sys

ROUND = re.compile(r"round_\d+_us")
NAME = re.compile(r".+/(cpu|simt|cuda)/(fp32|tf32|fp16|bf16)/(hot|cold)")
MICROSECONDS = {"ns": 1e-3, "us": 1, "ms": 1e3, "s": 1e6}


class Unusable(Exception):
    """A file that cannot be read as a result; says which, why and what to do."""


class Foreign(Unusable):
    """A valid JSON file of another format."""


@dataclasses.dataclass
class Row:
    name: str  # op/shape/device/precision/state, the state being hot or cold
    us: float  # the median of a run
    min_us: float
    noise: float  # half the interquartile range over the median
    samples: int
    mb: float
    gflop: float
    calls: float  # of a training step
    floor: float  # the least time that the device's peaks allow, over the median; 0 if unknown
    rounds: tuple = ()  # the median of each round of a single run; empty where the file does not have them
    runs: int = 1
    spread: float = 0  # half the range of the logarithms of the runs' medians

    @property
    def gb_per_s(self):
        return 1e3 * self.mb / self.us

    @property
    def gflop_per_s(self):
        return 1e6 * self.gflop / self.us


@dataclasses.dataclass
class Result:
    path: pathlib.Path
    context: dict
    rows: dict  # name -> Row, in the order of the file
    failed: dict  # name -> message

    def about(self, *keys):
        return ", ".join(str(self.context[key]) for key in keys if self.context.get(key))

    def peak(self, name, device, precision):
        """A peak that was measured in the same run, such as "copy_GB/s"; 0 if it is unknown."""
        # A result of several devices or precisions says which one a peak belongs to.
        key = f"peak_{name} {device} {precision}"
        return number(self.context, key if key in self.context else f"peak_{name}", 0)


def number(entry, key, default=None):
    """The value of a key as a float; ValueError if it is absent without a default, or no finite number."""
    value = entry.get(key, default)
    if value is None:
        raise ValueError(f"has no {key!r}")
    try:
        value = float(value)  # Google Benchmark writes the values of the context as strings
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"has a {key!r} of {entry[key]!r}")
    return value


def row_of(entry):
    unit = entry.get("time_unit")
    if unit not in MICROSECONDS:
        raise ValueError(f"has a time_unit of {unit!r}")
    row = Row(
        name=entry["name"],
        us=number(entry, "real_time") * MICROSECONDS[unit],
        min_us=number(entry, "min_us"),
        noise=number(entry, "noise") / 100,
        samples=int(number(entry, "samples")),
        mb=number(entry, "MB", 0),
        gflop=number(entry, "GFLOP", 0),
        calls=number(entry, "calls", 0),
        floor=number(entry, "floor", 0),
        rounds=tuple(number(entry, key) for key in entry if ROUND.fullmatch(key)),
    )
    if not NAME.fullmatch(row.name):
        raise ValueError("is not named op/shape/device/precision/hot or cold")
    if not (row.us and row.min_us and row.samples and all(row.rounds)):
        raise ValueError("has a time or a number of samples of 0")
    return row


def read(path, keep=""):
    """The rows of a file whose names match the regular expression `keep`."""
    try:
        text = path.read_text()
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Unusable(f"{path} is not JSON but binary data: give a file that bench_kernels wrote") from error
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise Unusable(f"{path} is damaged: line {error.lineno} is not valid JSON; measure again") from error
    if not isinstance(content, dict) or not isinstance(content.get("context"), dict):
        raise Foreign(f"{path} is not a result of bench_kernels: it has no 'context'")
    entries = content.get("benchmarks")
    if not isinstance(entries, list):
        raise Foreign(f"{path} is not a result of bench_kernels: it has no 'benchmarks'")
    result = Result(path, content["context"], {}, {})
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise Foreign(f"{path} is not a result of bench_kernels: it has a row without a name")
        name = entry["name"]
        if name in result.rows or name in result.failed:
            raise Foreign(f"{path} has the row {name} twice: bench_kernels needs no repetitions")
        if not re.search(keep, name):
            continue
        if entry.get("error_occurred"):
            result.failed[name] = entry.get("error_message", "failed")
            continue
        try:
            result.rows[name] = row_of(entry)
        except ValueError as error:
            raise Foreign(f"{path} is not a result of bench_kernels: its row {name} {error}") from error
    return result


def merged(rows):
    """One row of the rows of several runs."""
    times = [row.us for row in rows]
    return dataclasses.replace(
        rows[0],
        us=statistics.median(times),
        min_us=statistics.median(row.min_us for row in rows),
        noise=statistics.median(row.noise for row in rows),
        samples=int(statistics.median(row.samples for row in rows)),
        rounds=rows[0].rounds if len(rows) == 1 else (),
        runs=len(rows),
        spread=math.log(max(times) / min(times)) / 2,
    )


def read_runs(path, keep=""):
    """As read. Of a folder, whose files are runs of one program, the rows that every run has, merged."""
    if not path.is_dir():
        return read(path, keep)
    runs = [read(one, keep) for one in sorted(path.glob("*.json"))]
    if not runs:
        raise Unusable(f"{path} holds no result: write those of bench_kernels there as .json files")
    result = Result(
        path, runs[0].context, {}, {name: why for run in runs for name, why in run.failed.items()}
    )
    for name in runs[0].rows:
        if all(name in run.rows for run in runs):
            result.rows[name] = merged([run.rows[name] for run in runs])
    return result


def pattern(text):
    """A regular expression of the command line."""
    try:
        return re.compile(text)
    except re.error as error:
        raise Unusable(f"--filter {text!r} is not a regular expression: {error}") from error


def run(main):
    """Runs a script's main and exits with its code; unusable input gives one sentence and exit code 2."""
    try:
        sys.exit(main())
    except Unusable as error:
        print(f"{pathlib.Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        sys.exit(2)

#!/usr/bin/env python3
"""Compares two results of bench_kernels row by row, or lists the history of every row.

    bench/compare.py A B [--bound 10] [--svg FILE] [--filter REGEX]
    bench/compare.py --history [FOLDER] [--filter REGEX]      FOLDER: bench/results if not given

A and B are files, or folders that hold the results of several runs of one program. B/A is the ratio of the median
times: above 1, B is slower. The column after it is the uncertainty of the ratio. A row is marked as slower or faster if
the rounds of the two runs hardly overlap, its ratio is far from 1 compared with the ratios of the other rows, and its
fastest runs differ likewise; docs/measuring.md explains the rule. --svg draws the ratios with their uncertainty.

The exit code is 1 if a marked row is slower by more than the bound in percent, 2 if a file or an argument is unusable,
and else 0.
"""

import argparse
import dataclasses
import functools
import itertools
import math
import pathlib
import re
import statistics
import sys

import kernel_results
import measure
import svg
from kernel_results import Unusable

FALSE_ALARM = 0.03  # the chance that a comparison marks any of its rows though nothing has changed
LEAST = 0.02  # another layout of code or memory changes a time by this much
APART = 4  # a marked row differs by so many times what half of all rows differ by
FEW = 10  # with fewer rows, that half says nothing
ALL = re.compile("")
SAME_MACHINE = 1.05  # peaks of one machine in one state differ by less
RATIO_TICKS = (1, 0.5, 2, 0.1, 10, 0.8, 1.25, 0.2, 5, 0.9, 1.1, 0.67, 1.5, 0.01, 100, 1.05, 0.95)


@functools.cache
def contrary_pairs(a, b, chance):
    """How many of the a * b pairs of a round of A and one of B may contradict a change.

    If the rounds of both sides come from one distribution, whatever it is, then with at most this chance no more
    pairs than that contradict a change in one of the two directions: the exact test of Mann and Whitney. -1: even no
    contrary pair is more likely than this.
    """

    @functools.cache
    def orders(a, b):  # how many orders of the rounds have 0, 1, 2, ... contrary pairs
        if not (a and b):
            return [1]
        last_is_of_a, last_is_of_b = [0] * b + orders(a - 1, b), orders(a, b - 1)
        return [sum(both) for both in itertools.zip_longest(last_is_of_a, last_is_of_b, fillvalue=0)]

    all_orders = math.comb(a + b, a)
    return sum(2 * few <= chance * all_orders for few in itertools.accumulate(orders(a, b))) - 1


def uncertainty(row):
    """The relative standard error of a row's median."""
    # Half the interquartile range of normal samples is 0.674 sigma, and the standard error of their median is
    # 1.253 sigma / sqrt(samples): 1.86 times the noise / sqrt(samples). That supposes independent samples. Those of one
    # run share the state of the machine, so no number of them counts for more than 14, where the error is half the noise.
    # Runs are independent but few: half their whole range stands for half the interquartile one.
    within = row.noise * max(1.86 / math.sqrt(row.samples), 0.5)
    return max(within, 1.86 * row.spread / math.sqrt(row.runs))


def limits(a, b, chance):
    """Between what the ratio of two rows is, except with this chance."""
    if a.rounds and b.rounds:
        ratios = sorted(after / before for after in b.rounds for before in a.rounds)
        contrary = contrary_pairs(len(a.rounds), len(b.rounds), chance)
        return (ratios[contrary], ratios[-1 - contrary]) if contrary >= 0 else (0, math.inf)
    z = statistics.NormalDist().inv_cdf(1 - chance / 2)
    factor = math.exp(min(z * math.hypot(uncertainty(a), uncertainty(b)), 50))
    return b.us / a.us / factor, b.us / a.us * factor


@dataclasses.dataclass
class Change:
    name: str
    before: kernel_results.Row
    after: kernel_results.Row
    ratio: float
    low: float  # limits of the ratio at the confidence of the comparison
    high: float
    least: float  # a smaller change, of the logarithm, is not marked

    @property
    def error(self):
        """How far the ratio may be wrong, as the difference of a logarithm."""
        if not self.low:
            return math.inf
        return max(math.log(self.ratio / self.low), math.log(self.high / self.ratio), self.least)

    @property
    def marked(self):
        # Other work on the machine lengthens the median, but hardly the fastest run; a slower kernel lengthens both.
        shift, least_shift = math.log(self.ratio), math.log(self.after.min_us / self.before.min_us)
        return abs(shift) > self.error and least_shift * math.copysign(1, shift) > abs(shift) / 2

    @property
    def verdict(self):
        return ("slower" if self.ratio > 1 else "faster") if self.marked else ""


def apart(before, after):
    """How far the logarithms of half of the rows differ: other work may slow the machine for a whole run."""
    names = [name for name in before.rows if name in after.rows]
    shifts = [abs(math.log(after.rows[name].us / before.rows[name].us)) for name in names]
    return statistics.median(shifts) if len(shifts) >= FEW else 0


def changes_between(before, after, keep=ALL):
    """The rows of both results whose names match, the slowest change first."""
    names = [name for name in before.rows if name in after.rows and keep.search(name)]
    # Each row has its share of the chance of a false alarm (Bonferroni).
    chance = FALSE_ALARM / max(1, len(names))
    least = max(LEAST, APART * apart(before, after))
    changes = []
    for name in names:
        a, b = before.rows[name], after.rows[name]
        changes.append(Change(name, a, b, b.us / a.us, *limits(a, b, chance), least))
    return sorted(changes, key=lambda change: -change.ratio)


def caution_of(change, rows):
    """Why such a row cannot be judged as it should; None if it can."""
    a, b = change.before, change.after
    if not (a.rounds and b.rounds):
        if min(a.runs, b.runs) >= 3:
            return None
        return (
            "one run without rounds does not show what changes between runs: for a verdict, measure three of each, "
            "in turns"
        )
    if change.low:
        return None
    rounds = next(n for n in itertools.count(2) if contrary_pairs(n, n, FALSE_ALARM / rows) >= 0)
    return (
        f"{len(a.rounds)} rounds and {len(b.rounds)} cannot show a change of one of {rows} rows: measure with "
        f"--rounds {rounds} or more"
    )


def notes(before, after, keep):
    """What the reader has to know beside the ratios."""
    for label, one, other in (("A", before, after), ("B", after, before)):
        for name in one.rows:
            if name not in other.rows and name not in other.failed and keep.search(name):
                yield f"only in {label}: {name}"
        for name, message in one.failed.items():
            if keep.search(name):
                yield f"failed in {label}: {name}: {message}"
    for key, a in before.context.items():
        b = after.context.get(key)
        if key in ("host_name", "num_cpus") or key.startswith("device"):
            if a != b:
                yield f"measured on different machines: {key} is {a} in A and {b} in B"
        elif key.startswith("peak_") and b:
            a, b = (kernel_results.number(one.context, key) for one in (before, after))
            if max(a, b) > SAME_MACHINE * min(a, b):
                yield f"the machine itself changed: its {key} is {a:.4g} in A and {b:.4g} in B"


def time_text(us):
    for unit, size in (("s", 1e6), ("ms", 1e3), ("us", 1)):
        if us >= size:
            return f"{us / size:.4g} {unit}"
    return f"{1e3 * us:.4g} ns"


def percent(share):
    return f"{100 * share:.1f} %" if share < 10 else "> 1000 %"


def draw(path, changes, before, after, bound):
    names_width = max(svg.width_of(change.name, 13) for change in changes)
    left, top = svg.MARGIN + names_width + 14, svg.TITLE_SPACE + 28
    width = left + 640
    ratios = [change.ratio for change in changes]
    axis = svg.Axis(min([0.8, *ratios]) / 1.05, max([1.25, *ratios]) * 1.05, left, width - 170)
    marked = sum(change.marked for change in changes)
    picture = svg.Picture(
        math.ceil(width),
        top + svg.ROW * len(changes) + 40,
        f"B/A: {before.path.name} to {after.path.name}",
        f"ratios of median times with their uncertainty; {marked} of {len(changes)} rows are marked",
    )
    rows = picture.named_rows(
        top, [change.name for change in changes], axis, [(v, f"{v:g}") for v in axis.ticks(RATIO_TICKS)]
    )
    bottom = top + svg.ROW * len(changes)
    picture.line(axis.position(1), top, axis.position(1), bottom, svg.GREY)
    if axis.low < bound < axis.high:
        picture.line(axis.position(bound), top, axis.position(bound), bottom, svg.ORANGE, 1, "4 4")
    colours = {"slower": svg.ORANGE, "faster": svg.GREEN, "": svg.AXIS}
    for y, change in zip(rows, changes):
        colour = colours[change.verdict]
        picture.line(axis.position(change.low), y, axis.position(change.high), y, colour, 2)
        times = f"{time_text(change.before.us)} to {time_text(change.after.us)}"
        picture.dot(axis.position(change.ratio), y, colour, hint=f"{change.name}: {times}")
        text = f"{change.ratio:.3f} {change.verdict}"
        picture.text(axis.at_high + 16, y + 5, text, size=13, colour=svg.INK if change.marked else svg.GREY)
    picture.write(path)


def compare(args):
    before, after = (kernel_results.read_runs(path) for path in args.results)
    changes = changes_between(before, after, args.filter)
    if not changes:
        raise Unusable(
            "the results have no row in common: give results of the same benchmarks, or another --filter"
        )
    for label, one in (("A", before), ("B", after)):
        print(f"{label}: {one.path} ({one.about('date', 'tdds_version', 'host_name', 'device')})")
    print()
    cells = [
        (
            change.name,
            time_text(change.before.us),
            time_text(change.after.us),
            f"{change.ratio:.3f}",
            percent(math.expm1(min(change.error, 50))),
            change.verdict,
        )
        for change in changes
    ]
    print(measure.table(("row", "A", "B", "B/A", "±", ""), cells))
    print()
    for caution in dict.fromkeys(filter(None, (caution_of(change, len(changes)) for change in changes))):
        print(caution)
    for note in notes(before, after, args.filter):
        print(note)
    count = {
        verdict: sum(change.verdict == verdict for change in changes) for verdict in ("slower", "faster")
    }
    print(f"{len(changes)} rows compared: {count['slower']} slower, {count['faster']} faster")
    bound = 1 + args.bound / 100
    half = math.expm1(apart(before, after))
    if APART * math.log1p(half) > math.log(bound):
        print(
            f"half of all rows differ by {percent(half)} or more: the machine was not in the same state, or everything "
            "changed; measure both again, in turns"
        )
    if noisy := sum(change.error > math.log(bound) for change in changes):
        print(f"{noisy} rows are too noisy to show a change of {args.bound:g} %")
    if args.svg:
        draw(args.svg, changes, before, after, bound)
    beyond = [change for change in changes if change.marked and change.ratio > bound]
    if beyond:
        print(
            f"{len(beyond)} slower than the bound of {args.bound:g} %, the most {beyond[0].name}",
            file=sys.stderr,
        )
    return 1 if beyond else 0


def history(args):
    if not args.history.is_dir():
        raise Unusable(f"{args.history} is not a folder: give one that holds results of bench_kernels")
    results = []
    for path in sorted(args.history.glob("*.json")):
        try:
            results.append(kernel_results.read(path, args.filter))
        except kernel_results.Foreign:  # results of the other benchmarks
            continue
        except Unusable as error:
            print(f"compare.py: {error}", file=sys.stderr)
    results.sort(key=lambda result: str(result.context.get("date", "")))
    cells = []
    for name in dict.fromkeys(name for result in results for name in result.rows):
        shown, previous = name, {}  # machine -> time
        for result in results:
            row = result.rows.get(name)
            if not row:
                continue
            machine = result.about("host_name", "device")
            change = f"{row.us / previous[machine]:.3f}" if machine in previous else ""
            cells.append(
                (
                    shown,
                    result.about("date"),
                    result.about("tdds_version"),
                    machine,
                    time_text(row.us),
                    percent(row.noise),
                    change,
                )
            )
            shown, previous[machine] = "", row.us
    if not cells:
        raise Unusable(
            f"{args.history} holds no rows of bench_kernels: write a result there, or give another --filter"
        )
    print(measure.table(("row", "date", "version", "machine", "median", "noise", "to the previous"), cells))
    return 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", nargs="*", type=pathlib.Path, metavar="A B")
    parser.add_argument(
        "--bound", type=float, default=10, help="percent of slowdown that is allowed; default: 10"
    )
    parser.add_argument("--svg", type=pathlib.Path, metavar="FILE", help="draw the ratios")
    parser.add_argument("--filter", default="", metavar="REGEX", help="only rows whose names match")
    parser.add_argument("--history", nargs="?", type=pathlib.Path, const=measure.RESULTS, metavar="FOLDER")
    args = parser.parse_args()
    args.filter = kernel_results.pattern(args.filter)
    if args.history and not args.results:
        return history(args)
    if args.history or len(args.results) != 2:
        raise Unusable("give two results of bench_kernels, or --history alone")
    if not args.bound >= 0:
        raise Unusable(f"--bound {args.bound:g}: give a number of percent of at least 0")
    return compare(args)


if __name__ == "__main__":
    kernel_results.run(main)

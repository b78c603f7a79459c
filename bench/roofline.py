#!/usr/bin/env python3
"""Draws the kernels of a result of bench_kernels on the roofline that the same run measured.

    bench/roofline.py RESULT.json [--out FILE.svg] [--filter REGEX]      --out: RESULT.svg if not given

The upper part has FLOP/byte against FLOP/s, the lower part the share of the floor that every kernel reaches. Kernels without
FLOP are in the lower part only. docs/measuring.md explains the picture. Rows of simt are left out: no peak is known there.
"""

import argparse
import dataclasses
import itertools
import math
import pathlib

import kernel_results
import svg
from kernel_results import Unusable

COLOURS = {"fp32": svg.BLUE, "tf32": svg.PURPLE, "fp16": svg.ORANGE, "bf16": svg.GREEN}
PEAK_OF = {"fp32": "fp32_GFLOP/s", "tf32": "tf32_GFLOP/s", "fp16": "half_GFLOP/s", "bf16": "half_GFLOP/s"}
WIDTH, PLOT_LEFT, PLOT_TOP, PLOT_BOTTOM = 1200, 100, 130, 690
LABEL = 12  # font size
NEAR = 9  # pixels from a dot to its label


@dataclasses.dataclass
class Kernel:
    number: int
    name: str  # op and shape
    precision: str
    states: dict  # hot, cold -> Row
    copy: float  # GB/s
    peak: float  # GFLOP/s of the precision; 0 if unknown

    @property
    def row(self):
        return next(iter(self.states.values()))

    @property
    def colour(self):
        return COLOURS[self.precision]

    @property
    def intensity(self):
        return 1e3 * self.row.gflop / self.row.mb


def kernels_of(result):
    """The kernels of a result, those that take most of a training step first."""
    groups = {}  # (device, name, precision) -> {hot, cold -> Row}
    for row in result.rows.values():
        *name, device, precision, state = row.name.split("/")
        if device != "simt" and row.mb:
            groups.setdefault((device, " ".join(name), precision), {})[state] = row
    devices = sorted({device for device, _, _ in groups})
    if not groups:
        raise Unusable(f"{result.path} has no rows to draw: give another --filter")
    if len(devices) > 1:
        raise Unusable(
            f"{result.path} has rows of {' and '.join(devices)}: choose with --filter /{devices[0]}/"
        )
    # One memory, whose bandwidth was measured for each precision.
    copy = max(result.peak("copy_GB/s", *devices, precision) for _, _, precision in groups)
    if not copy:
        raise Unusable(
            f"{result.path} has no peak_copy_GB/s in its context: measure again with this bench_kernels"
        )
    groups = sorted(groups.items(), key=lambda group: -max(row.calls * row.us for row in group[1].values()))
    return [
        Kernel(number, name, precision, states, copy, result.peak(PEAK_OF[precision], device, precision))
        for number, ((device, name, precision), states) in enumerate(groups, 1)
    ]


def ticks(axis, apart):
    """Powers of ten, then twice and five times those between them."""
    powers = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
    return axis.ticks([factor * 10.0**power for factor in (1, 2, 5) for power in powers], apart)


class Labels:
    """Places labels at dots so that none covers a dot, a line or another label."""

    def __init__(self, picture):
        self.picture = picture
        self.boxes = []  # left, top, right, bottom of what is taken

    def take(self, x1, y1, x2, y2, margin=5):
        self.boxes.append(
            (min(x1, x2) - margin, min(y1, y2) - margin, max(x1, x2) + margin, max(y1, y2) + margin)
        )

    def free(self, box):
        inside = (
            PLOT_LEFT < box[0] and box[2] < WIDTH - svg.MARGIN and PLOT_TOP < box[1] and box[3] < PLOT_BOTTOM
        )
        return inside and not any(
            box[0] < one[2] and one[0] < box[2] and box[1] < one[3] and one[1] < box[3] for one in self.boxes
        )

    def place(self, x, y, text, distances, angles):
        """Whether there was room for the text near (x, y)."""
        width = svg.width_of(text, LABEL)
        for distance, angle in itertools.product(distances, angles):
            across, up = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            at_x, at_y = x + distance * across, y - distance * up
            left = (
                at_x - width * (1 - across) / 2
            )  # right of the dot the text begins at the point, above it is centred
            box = (left, at_y - LABEL * 0.55, left + width, at_y + LABEL * 0.55)
            if self.free(box):
                self.take(*box, margin=1)
                if distance > NEAR:
                    self.picture.line(x, y, at_x, at_y, svg.AXIS, 0.8)
                self.picture.text(left, at_y + LABEL * 0.36, text, size=LABEL)
                return True
        return False

    def label(self, x, y, kernel):
        """The number and name of a kernel where there is room beside its dot, else the number."""
        if not self.place(x, y, f"{kernel.number} {kernel.name}", [NEAR], [0, 180]):
            self.place(x, y, str(kernel.number), [NEAR, 20, 32], range(0, 360, 45))


def draw_roofs(picture, labels, x, y, roofs, copy):
    """The slope of the bandwidth up to the highest roof, and the roofs."""
    start, ridge = max(x.low, y.low / copy), min(x.high, max(roofs.values(), default=y.high) / copy)
    picture.line(
        *(x.position(start), y.position(start * copy), x.position(ridge), y.position(ridge * copy)),
        svg.GREY,
        2,
    )
    for step in range(60):  # small boxes along the slope
        value = start * (ridge / start) ** (step / 60)
        labels.take(x.position(value), y.position(value * copy), x.position(value), y.position(value * copy))
    at_x, at_y = x.position(ridge) - 40, y.position(ridge * copy) - 8
    picture.text(at_x, at_y, f"copy {copy:.4g} GB/s", "end", 13, svg.GREY)
    labels.take(at_x - 140, at_y - 14, at_x, at_y)
    for label, peak in roofs.items():
        at = y.position(peak)
        picture.line(x.position(peak / copy), at, x.at_high, at, svg.GREY, 2)
        picture.text(x.at_high, at - 8, f"{label} {peak:.4g} GFLOP/s", "end", 13, svg.GREY)
        labels.take(x.position(peak / copy), at, x.at_high, at, 3)
        labels.take(x.at_high - 190, at - 20, x.at_high, at)


def draw_plot(picture, kernels):
    """The roofline with all kernels that have FLOP."""
    copy, labels = kernels[0].copy, Labels(picture)
    roofs = {PEAK_OF[kernel.precision].partition("_")[0]: kernel.peak for kernel in kernels if kernel.peak}
    reached = [row.gflop_per_s for kernel in kernels for row in kernel.states.values()]
    intensities = [kernel.intensity for kernel in kernels] + [peak / copy for peak in roofs.values()]
    x = svg.Axis(min(intensities) / 2, max(intensities) * 2.5, PLOT_LEFT, WIDTH - svg.MARGIN)
    y = svg.Axis(min(reached) / 1.5, max([*reached, *roofs.values()]) * 1.5, PLOT_BOTTOM, PLOT_TOP)
    for value in ticks(x, 60):
        picture.line(x.position(value), PLOT_TOP, x.position(value), PLOT_BOTTOM)
        picture.text(x.position(value), PLOT_BOTTOM + 20, f"{value:g}", "middle", 13, svg.GREY)
    for value in ticks(y, 30):
        picture.line(x.at_low, y.position(value), x.at_high, y.position(value))
        picture.text(x.at_low - 10, y.position(value) + 5, f"{value:g}", "end", 13, svg.GREY)
    picture.text(svg.MARGIN, PLOT_TOP - 12, "GFLOP/s", size=13, colour=svg.GREY)
    picture.text((x.at_low + x.at_high) / 2, PLOT_BOTTOM + 42, "FLOP/byte", "middle", 13, svg.GREY)
    draw_roofs(picture, labels, x, y, roofs, copy)
    for kernel in kernels:
        at, ys = x.position(kernel.intensity), [y.position(row.gflop_per_s) for row in kernel.states.values()]
        picture.line(at, min(ys), at, max(ys), kernel.colour)
        labels.take(at, min(ys), at, max(ys))
    for kernel in kernels:
        for state, row in kernel.states.items():
            hint = f"{kernel.number} {row.name}: {row.gflop_per_s:.4g} GFLOP/s"
            picture.dot(
                x.position(kernel.intensity),
                y.position(row.gflop_per_s),
                kernel.colour,
                state == "hot",
                hint=hint,
            )
    for kernel in kernels:
        labels.label(x.position(kernel.intensity), y.position(kernel.row.gflop_per_s), kernel)


def draw_shares(picture, top, kernels):
    """A row for every kernel: the share of its floor, hot and cold."""
    names = [f"{kernel.name} {kernel.precision}  {kernel.number:>3}" for kernel in kernels]
    left = svg.MARGIN + max(svg.width_of(name, 13) for name in names) + 14
    highest = max(row.floor for kernel in kernels for row in kernel.states.values())
    axis = svg.Axis(
        0, 1.02 * min(max(1, highest), 2), left, WIDTH - 270, log=False
    )  # what is beyond lies at its end
    ticks = axis.ticks([0, 1, 0.5, 0.25, 0.75, 1.5, 2])
    picture.text(svg.MARGIN, top - 36, "share of the floor", size=19)
    ys = picture.named_rows(top, names, axis, [(value, f"{100 * value:.0f} %") for value in ticks])
    picture.line(axis.position(1), top, axis.position(1), top + svg.ROW * len(kernels), svg.GREY, 2)
    picture.text(axis.at_high + 16, top - 8, "hot | cold", size=13, colour=svg.GREY)
    for y, kernel in zip(ys, kernels):
        for state, row in kernel.states.items():
            if row.floor:
                hint = f"{row.name}: {100 * row.floor:.0f} %"
                picture.dot(axis.position(row.floor), y, kernel.colour, state == "hot", hint=hint)
        figures = [
            f"{row.gflop_per_s:.3g}" if row.gflop else f"{row.gb_per_s:.3g}" for row in kernel.states.values()
        ]
        unit = "GFLOP/s" if kernel.row.gflop else "GB/s"
        picture.text(axis.at_high + 16, y + 5, f"{' | '.join(figures)} {unit}", size=13, colour=svg.GREY)


def draw(result, path):
    kernels = kernels_of(result)
    computing = [kernel for kernel in kernels if kernel.row.gflop]
    top = PLOT_BOTTOM + 120 if computing else PLOT_TOP + 20
    about = result.about("device", "host_name", "tdds_version", "date")
    picture = svg.Picture(WIDTH, top + svg.ROW * len(kernels) + 40, "Kernels on the measured roofline", about)
    at = WIDTH - svg.MARGIN
    for precision in reversed(dict.fromkeys(kernel.precision for kernel in kernels)):
        picture.text(at, 42, precision, "end")
        at -= svg.width_of(precision, 14) + 12
        picture.dot(at, 37, COLOURS[precision])
        at -= 24
    picture.text(WIDTH - svg.MARGIN, 68, "filled: hot, hollow: cold", "end", 14, svg.GREY)
    if computing:
        draw_plot(picture, computing)
    draw_shares(picture, top, kernels)
    picture.write(path)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("result", type=pathlib.Path, metavar="RESULT.json")
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE.svg")
    parser.add_argument("--filter", default="", metavar="REGEX", help="only rows whose names match")
    args = parser.parse_args()
    result = kernel_results.read(args.result, kernel_results.pattern(args.filter))
    draw(result, args.out or args.result.with_suffix(".svg"))
    return 0


if __name__ == "__main__":
    kernel_results.run(main)

#!/usr/bin/env python3
"""Draws the pictures of docs/measuring.md on counters.

    bench/counter_pictures.py BEFORE.json AFTER.json [--out FOLDER]      --out: docs/pictures if not given

BEFORE and AFTER are results of bench_step --kernel_report. requests.svg shows what a warp touches in global and shared memory;
its numbers follow from the definitions. counters.svg compares the kernels of batch norm in the two results.
"""

import argparse
import json
import math
import pathlib

import kernel_results
import svg
from kernel_results import Unusable

LANES, BANKS, SECTOR_WORDS = 32, 32, 8
WIDTH = 980


def sectors_of(words):
    return sorted({word // SECTOR_WORDS for word in words})


def words_of_banks(words):
    """The number of different words that each bank serves: its passes."""
    return [len({word for word in words if word % BANKS == bank}) for bank in range(BANKS)]


def rectangle(picture, x, y, width, height, colour, edge=svg.GRID):
    picture.parts.append(
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}" '
        f'stroke="{edge}" stroke-width="0.6"/>'
    )


def draw_sectors(picture, top, title, words):
    """A strip of memory, of which the lanes read `words`. Those of the same sectors move with them."""
    size = (WIDTH - 2 * svg.MARGIN) / (LANES * SECTOR_WORDS)
    sectors = sectors_of(words)
    share = 100 * len(set(words)) / (SECTOR_WORDS * len(sectors))
    picture.text(svg.MARGIN, top, f"{title}: {len(sectors)} sectors, {share:.3g} % of their bytes used")
    for sector in range(LANES):
        left = svg.MARGIN + sector * SECTOR_WORDS * size
        for i in range(SECTOR_WORDS):
            moved = "#f6d3b3" if sector in sectors else "#fff"
            read = sector * SECTOR_WORDS + i in words
            rectangle(picture, left + i * size, top + 10, size, 22, svg.BLUE if read else moved)
        rectangle(picture, left, top + 10, SECTOR_WORDS * size, 22, "none", svg.GREY)


def draw_banks(picture, left, top, title, words):
    """A column for each bank, of one square for each word that it serves."""
    size, depth = 13, 32
    passes = words_of_banks(words)
    picture.text(left, top, f"{title}:")
    picture.text(left, top + 19, f"passes: {max(passes)}, conflicts: {max(passes) - 1}")
    bottom = top + 34 + 7 * depth
    for bank, count in enumerate(passes):
        for i in range(count):
            rectangle(picture, left + bank * size, bottom - 7 * (i + 1), size, 7, svg.BLUE, "#fff")
        picture.line(
            left + bank * size + 1, bottom + 2, left + (bank + 1) * size - 1, bottom + 2, svg.GREY, 2
        )
    picture.text(left, bottom + 20, "bank 0", size=12, colour=svg.GREY)
    picture.text(left + BANKS * size, bottom + 20, "bank 31", "end", 12, svg.GREY)


def draw_requests(path):
    subtitle = "Blue: words of 4 bytes that the 32 lanes read. Orange: what moves with them."
    picture = svg.Picture(WIDTH, 640, "One request of a warp", subtitle)
    for i, stride in enumerate((1, 2, 8)):
        title = (
            "32 consecutive floats" if stride == 1 else f"Every {'second' if stride == 2 else 'eighth'} float"
        )
        draw_sectors(picture, 112 + 70 * i, title, [lane * stride for lane in range(LANES)])
    top = 112 + 70 * 3 + 20
    for left, pitch in ((svg.MARGIN, 32), (WIDTH / 2 + 20, 33)):
        title = f"A column of a tile in shared memory, {pitch} floats a row"
        draw_banks(picture, left, top, title, [lane * pitch for lane in range(LANES)])
    picture.write(path)


# Title, unit and value of a kernel in the comparison.
MEASURES = (
    ("Launches in a step", "", lambda kernel: kernel["launches"]),
    (
        "Sectors in a step",
        "MB",
        lambda kernel: 32e-6 * sum(kernel[of]["sectors"] for of in ("loads", "stores")),
    ),
    (
        "Passes lost to bank conflicts in a step",
        "thousand",
        lambda kernel: 1e-3 * kernel["shared"]["conflicts"],
    ),
    ("Barriers of all blocks in a step", "thousand", lambda kernel: 1e-3 * kernel["barriers"]),
)


def read_values(path):
    """The kernels of batch norm: name without template arguments -> a value for each measure, and all of them."""
    values = {}
    try:
        for kernel in json.loads(path.read_text())["kernels"]:
            name = kernel["kernel"].split("<")[0].removeprefix("batchnorm_").replace("_", " ")
            if kernel["kernel"].startswith("batchnorm_"):
                for key in (name, "all"):
                    sums = values.setdefault(key, [0] * len(MEASURES))
                    values[key] = [sum + value(kernel) for sum, (_, _, value) in zip(sums, MEASURES)]
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise Unusable(f"{path} is not a result of bench_step --kernel_report: {error!r}") from error
    if not values:
        raise Unusable(f"{path} has no kernel of batch norm: give a result of a training step")
    return values


def draw_counters(before, after, path):
    names = [*dict.fromkeys(name for name in [*before, *after] if name != "all"), "all"]
    panel = 102 + svg.ROW * len(names)
    picture = svg.Picture(
        WIDTH, svg.TITLE_SPACE + panel * len(MEASURES), "Batch norm before and after its kernels were rewritten",
        "Hollow: before. Filled: after. A kernel that is on one side only has one dot.",
    )  # fmt: skip
    for i, (title, unit, _) in enumerate(MEASURES):
        top = svg.TITLE_SPACE + i * panel + 60
        most = max(values[name][i] for values in (before, after) for name in values) or 1
        axis = svg.Axis(0, 1.05 * most, 210, WIDTH - 190, log=False)
        picture.text(svg.MARGIN, top - 34, f"{title}{', ' + unit if unit else ''}", size=16)
        step = 10 ** math.floor(math.log10(most)) / (
            1 if most >= 4 * 10 ** math.floor(math.log10(most)) else 4
        )
        ticks = [(n * step, f"{n * step:g}") for n in range(int(most / step) + 1)]
        for name, y in zip(names, picture.named_rows(top, names, axis, ticks)):
            shown = [(values[name][i], colour) for values, colour in ((before, svg.ORANGE), (after, svg.BLUE))
                     if name in values]  # fmt: skip
            for value, colour in shown:
                hint = f"{name}: {value:.4g} {unit}"
                picture.dot(axis.position(value), y, colour, colour == svg.BLUE, hint=hint)
            text = " → ".join(
                f"{values[name][i]:.4g}" if name in values else "none" for values in (before, after)
            )
            picture.text(WIDTH - svg.MARGIN, y + 5, text, "end", 13)
    picture.write(path)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=pathlib.Path)
    parser.add_argument("after", type=pathlib.Path)
    pictures = pathlib.Path(__file__).parent.parent / "docs" / "pictures"
    parser.add_argument("--out", type=pathlib.Path, default=pictures)
    arguments = parser.parse_args()
    draw_counters(read_values(arguments.before), read_values(arguments.after), arguments.out / "counters.svg")
    draw_requests(arguments.out / "requests.svg")
    return 0


if __name__ == "__main__":
    kernel_results.run(main)

"""Draws pictures as SVG, in the style of the training's curve.svg."""

import math
from xml.sax.saxutils import escape

from kernel_results import Unusable

INK, GREY, GRID, AXIS = "#1c212b", "#6b7380", "#e6e8ed", "#b3b8c2"
# Colours that colour-blind readers can tell apart (after Okabe and Ito).
BLUE, ORANGE, GREEN, PURPLE = "#0073b3", "#e66600", "#009973", "#b36199"
LETTER = 0.58  # width of a letter of common sans-serif fonts, in font sizes
ROW = 21  # height of a row of named_rows
MARGIN, TITLE_SPACE = 32, 84


def width_of(text, size):
    return LETTER * size * len(text)


class Axis:
    """Maps values to pixels, by their logarithm or linearly."""

    def __init__(self, low, high, at_low, at_high, log=True):
        self.low, self.high, self.at_low, self.at_high = low, high, at_low, at_high
        self.scale = math.log if log else float

    def position(self, value):
        low, high = self.scale(self.low), self.scale(self.high)
        value = self.scale(min(max(value, self.low), self.high))
        return self.at_low + (value - low) / (high - low) * (self.at_high - self.at_low)

    def ticks(self, candidates, apart=46):
        """Those of the candidates, given by importance, that lie on the axis and apart from each other."""
        chosen = []
        for value in candidates:
            inside = self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9)
            if inside and all(abs(self.position(value) - self.position(one)) >= apart for one in chosen):
                chosen.append(value)
        return sorted(chosen)


class Picture:
    def __init__(self, width, height, title, subtitle):
        self.width, self.height = width, height
        size = f'width="{width}" height="{height}"'
        font = 'font-family="DejaVu Sans, Verdana, sans-serif"'
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size} {font}>',
            f'<rect {size} fill="#fff"/>',
        ]
        self.text(MARGIN, 42, title, size=24)
        self.text(MARGIN, 68, subtitle, colour=GREY)

    def text(self, x, y, text, anchor="start", size=14, colour=INK):
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}" '
            f'paint-order="stroke" stroke="#fff" stroke-width="3">'
            f"{escape(text)}</text>"
        )

    def line(self, x1, y1, x2, y2, colour=GRID, width=1.0, dashes=""):
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"{dashed}/>'
        )

    def dot(self, x, y, colour, filled=True, radius=4.5, hint=""):
        """`hint` is what a browser shows when the pointer is over the dot."""
        self.parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour if filled else "#fff"}" '
            f'stroke="{colour}" stroke-width="1.8"><title>{escape(hint)}</title></circle>'
        )

    def named_rows(self, top, names, axis, ticks):
        """Draws a horizontal axis and a row for each name to its left. Returns the rows' y."""
        bottom = top + ROW * len(names)
        for value, label in ticks:
            x = axis.position(value)
            self.line(x, top, x, bottom)
            for y in (top - 8, bottom + 18):
                self.text(x, y, label, "middle", 13, GREY)
        self.line(axis.at_low, bottom, axis.at_high, bottom, AXIS)
        rows = [top + ROW * (i + 0.5) for i in range(len(names))]
        for y, name in zip(rows, names):
            self.text(axis.at_low - 14, y + 5, name, "end", 13)
            self.line(axis.at_low, y, axis.at_high, y)
        return rows

    def write(self, path):
        try:
            path.write_text("\n".join([*self.parts, "</svg>\n"]))
        except OSError as error:
            raise Unusable(f"{path} cannot be written: {error.strerror}") from error
        print(f"\nwritten: {path}")

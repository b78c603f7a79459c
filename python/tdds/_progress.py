"""A line on standard error that is rewritten while something goes on."""

import sys
import time

_BAR = 24
_SECONDS = 0.1  # between two pictures


class Progress:
    """`label [######..................] 250/1000 note`; without a total, `label: note`."""

    def __init__(self, label: str, total: int | None, shown: bool) -> None:
        self._label, self._total, self._shown = label, total, shown
        self._width, self._next, self._waiting = 0, 0.0, ""

    def update(self, done: int, note: str = "") -> None:
        if not self._shown:
            return
        text = f"{self._label}: {note}"
        if self._total:
            full = _BAR * min(done, self._total) // self._total
            text = f"{self._label} [{'#' * full}{'.' * (_BAR - full)}] {done}/{self._total} {note}"
        if time.monotonic() < self._next and done != self._total:
            self._waiting = text
            return
        self._next = time.monotonic() + _SECONDS
        self._draw(text)

    def _draw(self, text: str) -> None:
        sys.stderr.write("\r" + text.ljust(self._width))
        sys.stderr.flush()
        self._width, self._waiting = len(text), ""

    def close(self) -> None:
        """Leaves the last picture on a line of its own, also if it came too soon after the one before."""
        if self._waiting:
            self._draw(self._waiting)
        if self._width:
            sys.stderr.write("\n")
            sys.stderr.flush()

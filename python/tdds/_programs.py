"""The programs from Python: their flags as keywords, their metrics as they appear."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from ._native import _tdds
from ._progress import Progress

_POLL = 0.1  # seconds


def _program(name: str) -> str:
    """The program that was installed with this package, or else on the PATH."""
    beside = os.path.join(os.path.dirname(sys.executable), name)
    found = beside if os.access(beside, os.X_OK) else shutil.which(name)
    if found is None:
        raise _tdds.Error(f"{name} is neither beside {sys.executable} nor on the PATH; install the package")
    return found


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(_text, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class _Metrics:
    """The lines that a start of a program adds to the metrics.jsonl files below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = {path: self._lines(path) for path in self._paths()}
        self._stamps = {path: self._stamp(path) for path in self._before}
        self._taken: dict[Path, int] = {}

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("**/metrics.jsonl"))

    @staticmethod
    def _stamp(path: Path) -> tuple[int, int, int]:
        status = path.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns

    @staticmethod
    def _lines(path: Path) -> list[str]:
        """Complete ones."""
        return path.read_text(encoding="utf-8").split("\n")[:-1]

    def take(self) -> Iterator[dict[str, Any]]:
        for path in self._paths():
            if self._stamps.get(path) == self._stamp(path):
                continue
            self._stamps.pop(path, None)
            lines = self._lines(path)
            if path not in self._taken:  # a resumed run keeps the first lines
                pairs = zip(self._before.get(path, []), lines, strict=False)
                self._taken[path] = sum(
                    1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)
                )
            for line in lines[self._taken[path] :]:
                yield {**json.loads(line), "folder": str(path.parent)}
            self._taken[path] = len(lines)


class Run:
    """A program at work, made by `train` and `sweep`. Iterating yields the metrics of each epoch of this
    start, a dictionary, when the epoch ends: the line of metrics.jsonl, and "folder", where it is.

    The program goes on until it ends, also if nothing is read. A KeyboardInterrupt that arrives in `wait` or
    while iterating, and the end of a `with` block, stop it; it saves its work first, and `resume=True`
    continues it (a sweep continues by itself).

    Attributes: `folder`, a Path; `metrics`, the list of all dictionaries so far.
    """

    def __init__(self, program: str, folder: Path, result: str, flags: dict[str, Any]) -> None:
        self.folder = folder
        self.metrics: list[dict[str, Any]] = []
        self._name, self._result = program, result
        arguments = [f"--{name}={_text(value)}" for name, value in flags.items() if value is not None]
        self._new = _Metrics(folder)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (read when the program has ended)
        # In a process group of its own, Ctrl-C in a terminal reaches it only through `stop`: two would kill.
        self._process = subprocess.Popen(
            [_program(program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            process_group=0,
        )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        at = 0
        try:
            while True:
                ended = self._process.poll() is not None
                self.metrics += self._new.take()
                while at < len(self.metrics):
                    yield self.metrics[at]
                    at += 1
                if ended:
                    break
                time.sleep(_POLL)
        except KeyboardInterrupt:
            self.stop()
            raise
        self._check()

    def _check(self) -> None:
        code = self._process.returncode
        if code in (0, 128 + signal.SIGTERM):
            return
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        sentence = (
            lines[-1].removeprefix(f"{self._name}: ") if lines else f"{self._name} ended with code {code}"
        )
        raise (_tdds.UsageError if code == 2 else _tdds.Error)(sentence)

    def wait(self, progress: bool = True, total: int | None = None) -> Self:
        """Waits for the end, with a bar of `total` epochs on standard error.

        Raises:
            UsageError: for a flag or a value that the program refuses, with its sentence.
            Error: if the program fails.
        """
        bar = Progress(self._name, total, progress)
        try:
            for line in self:
                place = os.path.relpath(line["folder"], self.folder)
                note = f"epoch {line['epoch']} test accuracy {100 * line['test_accuracy']:.2f} %"
                bar.update(line["epoch"] + 1, note if place == "." else f"{place} {note}")
        finally:
            bar.close()
        return self

    def stop(self) -> None:
        """Lets the program save its work and end, and waits for that."""
        if self._process.poll() is None:
            # Not SIGINT, which a shell lets the commands that it starts in the background ignore.
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()
        self.metrics += self._new.take()

    @property
    def result(self) -> dict[str, Any]:
        """The content of result.json or sweep.json. Raises Error if there is none yet."""
        try:
            text = (self.folder / self._result).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise _tdds.Error(f"{self.folder / self._result} does not exist; wait for the run") from None
        return dict(json.loads(text))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def train(*, wait: bool = True, progress: bool = True, **flags: Any) -> Run:
    """Runs tdds-train: `tdds.train(dataset="cifar100", epochs=200, dynamics=True, save_path="runs/all")`.

    Args:
        wait: whether to return when the training has ended. Otherwise it goes on, and iterating over the
            result yields each epoch's metrics.
        progress: whether to show a bar on standard error while waiting.
        flags: those of the program, with underscores, as docs/reference.md and `tdds-train --help` list them.
            True and False are switches, a list is joined by commas, and None is left out. `save_path` is by
            default ./checkpoint/all-dataset.

    Raises:
        UsageError: for a flag or a value that the program refuses, with its sentence.
        Error: if the program is not installed, or fails.
        KeyboardInterrupt: after the program has saved its work; resume=True continues it.
    """
    flags.setdefault("save_path", "./checkpoint/all-dataset")
    run = Run("tdds-train", Path(flags["save_path"]), "result.json", flags)
    return run.wait(progress, flags.get("epochs")) if wait else run


def sweep(*, wait: bool = True, progress: bool = True, **flags: Any) -> Run:
    """Runs tdds-sweep: `tdds.sweep(dataset="cifar100", methods=["tdds", "random"], rates=[0.3, 0.5],
    save_path="runs/sweep")`.

    The arguments and errors are those of `train`. `save_path` is by default ./checkpoint/sweep. The same call
    continues a sweep that was stopped.
    """
    flags.setdefault("save_path", "./checkpoint/sweep")
    run = Run("tdds-sweep", Path(flags["save_path"]), "sweep.json", flags)
    return run.wait(progress) if wait else run

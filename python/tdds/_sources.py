"""Logits as a recording, for the methods that need more fields than official files have."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, TypeGuard

import numpy as np

from ._arrays import on_host
from ._native import _tdds

Path = str | os.PathLike[str]
Source = Any  # a Path, or logits [T, N, K]: an array or a sequence of arrays

_ROWS = 4096  # of logits that are widened at a time


def is_path(source: Source) -> TypeGuard[Path]:
    return isinstance(source, (str, os.PathLike))


def shape_of(array: Any) -> tuple[int, ...]:
    """() for what is no array."""
    return tuple(getattr(array, "shape", ()))


def _record(recorder: _tdds.Recorder, ids: Any, logits: Any) -> None:
    for begin in range(0, len(ids), _ROWS):
        rows = slice(begin, begin + _ROWS)
        recorder.update(on_host(ids[rows], "ids"), on_host(logits[rows], "logits"), None, None)


def _record_array(path: str, epochs: Sequence[Any], labels: Any | None) -> None:
    try:
        shape = shape_of(epochs[0]) if len(epochs) else ()
    except (TypeError, KeyError, IndexError):  # no sequence
        shape = ()
    if len(shape) != 2:
        raise _tdds.UsageError("`source` must be a path or logits [T, N, K], T at least 1")
    recorder = _tdds.Recorder(path, shape[0], shape[1], labels, "", False)
    for epoch, logits in enumerate(epochs):
        if shape_of(logits) != shape:
            raise _tdds.UsageError(
                f"the logits of epoch {epoch} are {list(shape_of(logits))}, but the first ones {list(shape)}"
            )
        _record(recorder, np.arange(shape[0]), logits)
        recorder.end_epoch(None)
    recorder.close()


def _record_files(
    path: str, folder: str, epochs: list[tuple[str, str]], labels: Any, missing: str, samples: int
) -> None:
    recorder = None
    for epoch, (output, index) in enumerate(epochs):
        logits = np.load(os.path.join(folder, output), mmap_mode="r", allow_pickle=False)
        ids = np.load(os.path.join(folder, index), allow_pickle=False)
        if logits.ndim != 2 or ids.ndim != 1 or len(ids) != len(logits):
            raise _tdds.Error(f"{output} and {index} in {folder} are not [N, K] and [N]; restore them")
        if len(np.unique(ids)) != len(ids):
            raise _tdds.Error(f"{index} in {folder} has a sample twice; record first visits only")
        if recorder is None:
            if samples and samples != len(labels):
                raise _tdds.UsageError(f"there are {len(labels)} labels for {samples} samples")
            recorder = _tdds.Recorder(path, len(labels), logits.shape[1], labels, "", False)
        _record(recorder, ids, logits)
        unvisited = recorder.end_epoch(None)
        if unvisited and missing != "carry":
            raise _tdds.Error(
                f"{unvisited} of {len(labels)} samples were not visited in epoch {epoch} of {folder}; record "
                'every sample, or give missing="carry"'
            )
    if recorder is not None:
        recorder.close()


@contextlib.contextmanager
def labelled_source(
    source: Source, labels: Any | None, missing: str = "refuse", samples: int = 0
) -> Iterator[tuple[str, Any | None]]:
    """Yields (a path that has every field that can be computed, labels to compare with it).

    A store is yielded as it is. Logits, and official files if there are labels, are recorded in a store in a
    temporary folder, of 25 bytes per sample and epoch.
    """
    given = None if labels is None else np.asarray(on_host(labels, "labels"))
    official = None
    if is_path(source):
        official = None if given is None else _tdds.official_files(os.fspath(source))
        if official is None:
            yield os.fspath(source), given
            return
    with tempfile.TemporaryDirectory(prefix="tdds") as temporary:
        path = os.path.join(temporary, "dynamics.tdds")
        try:
            if official is None:
                _record_array(path, source, given)
            else:
                folder, epochs = official
                _record_files(path, folder, epochs, given, missing, samples)
                train_ids = os.path.join(os.path.dirname(folder), "train_ids.npy")
                if os.path.exists(train_ids):
                    shutil.copy(train_ids, temporary)
            yield path, None
        except _tdds.Error as error:
            name = official[0] if official else "`source`"
            raise type(error)(str(error).replace(path, name)) from None

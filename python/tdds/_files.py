"""Recordings, masks and score files."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import on_host
from ._native import _tdds
from ._sources import Path


class Dynamics(Mapping[str, npt.NDArray[Any]]):
    """A recording, as a mapping of its fields. `dynamics["loss"]` is an array [epochs, N] by epoch and
    sample, mapped from the file: not copied, and read-only.

    The fields are those of kernels/ops/softmax_kl.h: kl, true_kl, loss, log_other, entropy, el2n float32, and
    correct uint8. kl[0] and true_kl[0] are 0, because the first epoch has no previous visit. A recording
    without labels has only kl, true_kl and entropy; feature_norm is there where tdds-train recorded it.
    """

    def __init__(self, path: Path) -> None:
        self._store = _tdds.Dynamics(os.fspath(path))

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Returns a field, [epochs, N]. Raises KeyError with the names of the recorded ones."""
        return np.asarray(self._store.field(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._store.keys())

    def __len__(self) -> int:
        return len(self._store.keys())

    @property
    def path(self) -> str:
        """The file that was found."""
        return self._store.path

    @property
    def samples(self) -> int:
        """N."""
        return self._store.samples

    @property
    def classes(self) -> int:
        """K."""
        return self._store.classes

    @property
    def epochs(self) -> int:
        """The number of complete epochs. The incomplete last one of a killed run is not counted."""
        return self._store.epochs

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return self._store.dataset

    @property
    def fingerprint(self) -> str:
        """Of the images and labels, as the recording program gave it."""
        return self._store.fingerprint

    @property
    def seed(self) -> int:
        """Of the run."""
        return self._store.seed

    @property
    def labels(self) -> npt.NDArray[np.int32] | None:
        """int32 [N] as trained on, or None if the recording has none."""
        labels = self._store.labels
        return None if labels is None else np.asarray(labels, np.int32)


def read_dynamics(path: Path) -> Dynamics:
    """Opens a recording: `dynamics.tdds`, or the folder that holds it. Verifies every checksum.

    Raises Error if it is absent, damaged, or a folder of official .npy files, which numpy.load reads.
    """
    return Dynamics(path)


def read_mask(
    path: Path, score_path: Path | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Reads official files: (ids int64 [N], scores float32 [N]), both by ascending score.

    The samples that are kept when a share `prune` is left out are `ids[int(prune * N):]`.

    Args:
        path: `data_mask_<name>.npy`.
        score_path: by default the `score_<name>.npy` beside it.

    Raises:
        Error: unless the ids are a permutation of 0 .. N-1 and the scores are finite and ascending.
    """
    mask = os.fspath(path)
    if score_path is None:
        folder, name = os.path.split(mask)
        if not name.startswith("data_mask_"):
            raise _tdds.UsageError(f"{mask} is not named data_mask_<name>.npy; give `score_path` too")
        score_path = os.path.join(folder, name.replace("data_mask_", "score_", 1))
    return _tdds.read_mask(mask, os.fspath(score_path))


def write_mask(
    folder: Path, scores: Any, T: int = 90, J: int = 10, *, name: str | None = None
) -> tuple[str, str]:
    """Writes the official files: `data_mask_win<J>_ep<T>.npy`, int64 [N], the ids by ascending score (ties by
    id), and `score_win<J>_ep<T>.npy`, float32 [N], the scores in that order. tdds-train-subset and the
    official train_subset.py
    read them, and prune from the front: a share `prune` leaves out the first int(prune * N) ids.

    For a selection other than the highest scores, give scores of 1 to the selected samples and 0 to the
    others.

    Args:
        folder: is made if absent.
        scores: float [N], by sample.
        T, J: for the names; the official script finds its files by them.
        name: in place of win<J>_ep<T>, for the scores of other methods.

    Returns:
        The two paths.

    Raises:
        UsageError: for a score that is not finite.
        Error: if the files cannot be written.
    """
    stem = f"win{J}_ep{T}" if name is None else name
    return _tdds.write_mask(os.fspath(folder), stem, on_host(scores, "scores"))

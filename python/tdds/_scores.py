"""Scores and selections."""

import os
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._arrays import on_host, real, whole
from ._native import _tdds
from ._sources import Source, is_path, labelled_source


class Method(NamedTuple):
    """A scoring method. The highest scores are kept, for every method."""

    name: str  #: as in `score(..., method=name)` and `tdds-score --method`
    score: str  #: what is computed
    kept: str  #: which end of the literature's quantity is kept
    source: str  #: the paper, and the source of the convention
    needs: tuple[str, ...]  #: fields of the recording; official .npy folders have only `kl`


def methods() -> tuple[Method, ...]:
    """Returns all methods, in the order of `tdds-score --list`."""
    return tuple(Method(*row) for row in _tdds.methods())


def score(
    source: Source,
    method: str = "tdds",
    T: int = 90,
    J: int = 10,
    decay: float = 0.9,
    labels: Any | None = None,
    *,
    epochs: int = 0,
    seed: int | None = None,
    missing: str = "refuse",
    samples: int = 0,
) -> npt.NDArray[np.float32]:
    """Returns the score of every sample, float32 [N]: the bits that tdds-score computes. The highest are
    kept.

    Args:
        source: a recording: `dynamics.tdds`, the folder that holds it, or a folder of the official
            `<epoch>_{Output,Index}.npy` files; or logits, float32, float16 or bfloat16 [T, N, K], as an array
            or a sequence of T arrays [N, K].
        method: a name of `methods()`.
        T: of tdds and tdds_kl: the number of epochs used, from the first.
        J: the number of epochs in a window, of the methods with windows. tdds needs 3 <= J <= T.
        decay: of tdds and tdds_kl: the weight of the newest window, 0 to 1.
        labels: int [N]. Of official files, the methods other than tdds need them; of logits, those other than
            tdds, tdds_kl, entropy and random. Those of a recording are only compared.
        epochs: of the other methods: the number of epochs used, from the first; 0 is each method's own
            choice.
        seed: of random; by default the recorded run's, and 42 for official files.
        missing: official files: "refuse" an epoch that does not visit every sample, or "carry" its last
            visit: d = 0.
        samples: official files: N; 0 takes one more than the largest id.

    Raises:
        UsageError: for an unknown method, or numbers out of range, such as T above the number of recorded
            epochs.
        Error: if the source is absent, damaged, or lacks what the method needs.

    TDDS: Zhang et al., CVPR 2024, arXiv 2311.13613. `methods()` names the source of each method.
    """
    # From official files, tdds is computed as tdds-score computes it, from the logits in double precision.
    direct = method == "tdds" and is_path(source) and _tdds.official_files(os.fspath(source)) is not None
    with labelled_source(source, None if direct else labels, missing, samples) as (path, given):
        # Of a recording that was made here, N is right.
        count = samples if is_path(source) and path == os.fspath(source) else 0
        return _tdds.score(
            path,
            method,
            whole(T, "T"),
            whole(J, "J"),
            real(decay, "decay"),
            given,
            whole(epochs, "epochs"),
            _seed(seed),
            missing,
            whole(count, "samples"),
        )


def _seed(seed: int | None) -> int | None:
    if seed is not None and whole(seed, "seed", 63) < 0:
        raise _tdds.UsageError(f"`seed` is {seed}; give at least 0")
    return seed


def select(
    scores: Any,
    prune: float = 0.7,
    how: str = "top",
    *,
    source: Source | None = None,
    labels: Any | None = None,
    seed: int | None = None,
    ccs_beta: float = 0.2,
    ccs_strata: int = 50,
    beta_c: float = 4.0,
) -> npt.NDArray[np.int64]:
    """Returns the ids of the samples to keep, int64 [N - int(prune * N)], ascending.

    Args:
        scores: float [N], by sample.
        prune: the share of the samples that is LEFT OUT: 0.7 keeps 30 %. 0 <= prune < 1.
        how: "top" keeps the highest scores, "bottom" the lowest, "balanced" the highest of each class, at
            least one. "ccs" draws evenly from strata of the scores, without the hardest samples by aum (Zheng
            et al. 2023). "beta" draws with DUAL's Beta weights (Cho et al. 2025).
        source: what the scores are from, as for `score`. balanced, ccs and beta need it, with labels. If
            `train_ids.npy` is beside it, the result has the ids of the whole data set; otherwise, positions
            in `scores`.
        labels: int [N], where the source is official files or logits.
        seed: of ccs and beta; by default the recorded run's, and 42 without a source.
        ccs_beta: ccs: the share of the samples dropped as the hardest, at most `prune`.
        ccs_strata: ccs: the number of strata.
        beta_c: beta: the exponent c. 4 for CIFAR-100, 5.5 for CIFAR-10.

    Raises:
        UsageError: for an unknown selection, or numbers out of range.
        Error: if a score is NaN, or the source lacks what the selection needs.
    """
    values = on_host(scores, "scores")
    draw = _seed(seed), real(ccs_beta, "ccs_beta"), whole(ccs_strata, "ccs_strata"), real(beta_c, "beta_c")
    prune = real(prune, "prune")
    if source is None:
        return _tdds.select(values, prune, how, None, *draw)
    with labelled_source(source, labels) as (path, _):
        return _tdds.select(values, prune, how, path, *draw)

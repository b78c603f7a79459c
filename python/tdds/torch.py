"""For training loops in PyTorch: sample ids in the loader, batches of several processes, and subsets.

The rest of the package takes tensors as they are and does without torch; this module imports it.
"""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed
from torch.utils.data import Dataset, Sampler, Subset

from ._arrays import on_host
from ._files import read_mask
from ._native import _tdds
from ._sources import Path

__all__ = ["Indexed", "KeptSubset", "ScoreSampler", "gather"]

_LOGITS = (torch.float32, torch.float16, torch.bfloat16)


class Indexed(Dataset[Any]):
    """A map-style data set that also yields each sample's id, as `Recorder.update` takes it.

    A sample `(image, label)` becomes `(image, label, id)`, a dictionary gets the key "id", and anything else
    becomes `(sample, id)`. The id is the index by which the sample is fetched, so it survives shuffling and
    the workers of a DataLoader. `Subset(Indexed(data), kept)` yields ids of `data`, and
    `Indexed(Subset(data, kept))` positions in the subset.

    Args:
        dataset: has `__getitem__` and `__len__`.

    Raises:
        UsageError: for an iterable-style data set, whose samples have no ids.
    """

    def __init__(self, dataset: Dataset[Any]) -> None:
        if not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
            raise _tdds.UsageError(
                f"{type(dataset).__name__} has no __getitem__ and __len__; give a map-style data set"
            )
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        sample = self.dataset[index]
        if isinstance(sample, dict):
            return {**sample, "id": index}
        return (*sample, index) if isinstance(sample, (tuple, list)) else (sample, index)


class KeptSubset(Subset[Any]):
    """The samples that a mask keeps, by ascending id.

    Attributes: `indices`, their ids as a list; `scores`, float32, in the same order.

    Args:
        dataset: the data set that was scored, map-style, of N samples.
        mask: an official `data_mask_<name>.npy` beside its `score_<name>.npy`, as `write_mask` and tdds-score
            write them.
        prune: the share of the samples that is LEFT OUT: 0.7 keeps the 30 % with the highest scores.

    Raises:
        UsageError: if `prune` is not in 0 <= prune < 1, or the mask has another number of samples.
        Error: for a mask that is absent or damaged.
    """

    def __init__(self, dataset: Dataset[Any], mask: Path, prune: float) -> None:
        ids, in_order = read_mask(mask)
        size = len(dataset)  # type: ignore[arg-type]
        if len(ids) != size:
            raise _tdds.UsageError(
                f"{os.fspath(mask)} has {len(ids)} samples, but the data set has {size}; give the data set "
                "that was scored, as a Subset if the run left out samples (train_ids.npy)"
            )
        if not 0 <= prune < 1:
            raise _tdds.UsageError(f"`prune` is {prune}; give the share that is left out, 0 <= prune < 1")
        kept, scores = ids[int(prune * size) :], in_order[int(prune * size) :]
        by_id = np.argsort(kept)
        super().__init__(dataset, kept[by_id].tolist())
        self.scores: npt.NDArray[np.float32] = scores[by_id]


class ScoreSampler(Sampler[int]):
    """Draws ids with replacement, a sample with the probability of its score.

    The scores are scaled to 0 .. 1 over all samples, as the official code scales them to weight its loss, and
    mixed with an even draw. Each pass over the sampler is another draw, which `seed` and the number of the
    pass determine.

    Args:
        scores: float [N], by sample.
        samples: the number of draws in a pass; by default N.
        uniform: the share of the draws that is even, 0 to 1. With 0 the lowest score is never drawn.
        seed: of the draws.

    Raises:
        UsageError: for no scores, a score that is not finite, or a number out of range.
    """

    def __init__(self, scores: Any, samples: int | None = None, uniform: float = 0.1, seed: int = 42) -> None:
        values = np.asarray(on_host(scores, "scores"), np.float64)
        if values.ndim != 1 or not values.size or not np.isfinite(values).all():
            raise _tdds.UsageError("`scores` must be finite numbers [N]; give the scores of `tdds.score`")
        if not 0 <= uniform <= 1:
            raise _tdds.UsageError(f"`uniform` is {uniform}; give a share of 0 to 1")
        if samples is not None and samples < 1:
            raise _tdds.UsageError(f"`samples` is {samples}; give the number of draws, at least 1")
        spread = values - values.min()
        weights = spread if spread.max() > 0 else np.ones_like(spread)
        self.probabilities = uniform / len(values) + (1 - uniform) * weights / weights.sum()
        self.samples = len(values) if samples is None else samples
        self.seed = seed
        self._passes = 0

    def __len__(self) -> int:
        return self.samples

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self.seed, self._passes))
        self._passes += 1
        yield from rng.choice(len(self.probabilities), self.samples, p=self.probabilities).tolist()


def _communication_device(logits: torch.Tensor) -> torch.device:
    return torch.device("cpu") if torch.distributed.get_backend() == "gloo" else logits.device


def _dense(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A copy whose bytes can be viewed; `contiguous` leaves an empty tensor's strides."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=device).copy_(tensor)


def _check_alike(sizes: list[list[int]]) -> None:
    for rank, size in enumerate(sizes):
        if size[1:] != sizes[0][1:]:
            raise _tdds.UsageError(
                f"process {rank} gathers other logits than process 0: give the same number of classes, the "
                "same type, and labels in all processes or in none"
            )


def gather(
    ids: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None] | None:
    """Brings the batches of all processes to rank 0, which alone records::

        batch = tdds.torch.gather(ids, logits, labels)
        if batch is not None:
            recorder.update(*batch)

    All processes of the default group call it once a batch. Their batches may differ in size, and may be
    empty. Without an initialised process group, the batch itself is returned.

    The rows are exchanged as bytes, by one collective of 32 bytes per process and one of the rows: through
    the host with gloo, on the GPU with nccl.

    Args:
        ids: int [B].
        logits: float32, float16 or bfloat16 [B, K]; K and the type are those of all processes. Detached.
        labels: int [B] in all processes, or None in all.

    Returns:
        (ids int64 [sum of B], logits [sum of B, K], labels int64 or None) by rank on rank 0, None elsewhere.

    Raises:
        UsageError: for other shapes or types, in all processes.
    """
    logits = logits.detach()
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    if not distributed:
        return ids, logits, labels
    device = _communication_device(logits)
    sound = logits.dim() == 2 and logits.dtype in _LOGITS and ids.shape == logits.shape[:1]
    sound = sound and (labels is None or labels.shape == ids.shape)
    # A process that cannot take part says so, because the others would wait for it.
    size = [-1, 0, 0, 0]
    if sound:
        size = [len(logits), logits.shape[1], _LOGITS.index(logits.dtype), int(labels is None)]
    ranks, rank = torch.distributed.get_world_size(), torch.distributed.get_rank()
    all_sizes = torch.empty(ranks, 4, dtype=torch.int64, device=device)
    own = torch.tensor(size, dtype=torch.int64, device=device)
    torch.distributed.all_gather(list(all_sizes.unbind()), own)
    sizes: list[list[int]] = all_sizes.tolist()
    if any(other[0] < 0 for other in sizes):
        raise _tdds.UsageError(
            "a process gave other shapes or types than ids [B], float32, float16 or bfloat16 logits [B, K] "
            "and labels [B] or None"
        )
    _check_alike(sizes)

    columns = [ids.to(torch.int64).view(-1, 1), logits]
    if labels is not None:
        columns.append(labels.to(torch.int64).view(-1, 1))
    row = torch.cat([_dense(column, device).view(torch.uint8) for column in columns], 1)
    longest = max(other[0] for other in sizes)
    padded = torch.zeros(longest, row.shape[1], dtype=torch.uint8, device=device)
    padded[: len(row)] = row
    received = [torch.empty_like(padded) for _ in range(ranks)] if rank == 0 else None
    torch.distributed.gather(padded, received)
    if received is None:
        return None
    rows = torch.cat([batch[: other[0]] for batch, other in zip(received, sizes, strict=True)])
    logits_end = 8 + logits.shape[1] * logits.element_size()

    def part(begin: int, end: int, dtype: torch.dtype) -> torch.Tensor:
        return _dense(rows[:, begin:end], device).view(dtype)

    return (
        part(0, 8, torch.int64).view(-1),
        part(8, logits_end, logits.dtype),
        None if labels is None else part(logits_end, logits_end + 8, torch.int64).view(-1),
    )

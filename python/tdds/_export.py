"""Data sets of other libraries as files that the programs read."""

import contextlib
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from ._native import _tdds
from ._progress import Progress
from ._sources import Path


def _as_pixels(image: Any, at: int) -> npt.NDArray[np.uint8]:
    """An image of PIL, numpy [H, W(, 3)] or torch [1 or 3, H, W] as uint8 [H, W, 3] or [H, W]."""
    channels_first = hasattr(image, "detach")
    pixels = np.asarray(image.detach().cpu() if channels_first else image)
    if channels_first and pixels.ndim == 3:
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3) or not pixels.size:
        raise _tdds.UsageError(
            f"image {at} has the shape {list(np.shape(image))}; give RGB or grey images: PIL's, numpy's "
            "[H, W, 3] or [H, W], or torch's [3, H, W]"
        )
    if pixels.dtype.kind == "f":
        if not (pixels.min() >= 0 and pixels.max() <= 1):
            raise _tdds.UsageError(
                f"image {at} has values outside 0 .. 1; give the data set without normalisation"
            )
        pixels = np.rint(pixels * np.float32(255)).astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise _tdds.UsageError(f"image {at} is of {pixels.dtype}; give uint8, or floats of 0 .. 1")
    return pixels


def export_npy(dataset: Any, folder: Path, split: str = "train", *, progress: bool = True) -> int:
    """Writes a data set as `--dataset npy` reads it: `<split>_images.npy`, uint8 [N, H, W, 3] or [N, H, W],
    and `<split>_labels.npy`, int64 [N]. Returns N.

    Images are written one by one, so that memory holds one. The files get their names when they are complete.

    Args:
        dataset: has `__len__`, and `dataset[i]` is `(image, label)`, as in torchvision. An image is PIL's
            (grey or RGB), uint8 [H, W, 3] or [H, W] of numpy, uint8 [3, H, W] of torch, or either as floats
            of 0 .. 1, which are rounded to 255 steps. All images have one size. Give the data set without
            augmentation and normalisation.
        folder: is made if absent.
        split: "train", "val" or "test". The programs need "train", and "test" or "val" to evaluate.
        progress: whether to show a bar on standard error.

    Raises:
        UsageError: for an image or a label that cannot be written.
        OSError: if the files cannot be written.
    """
    if split not in ("train", "val", "test"):
        raise _tdds.UsageError(f"`split` is {split!r}; give 'train', 'val' or 'test'")
    count = len(dataset)
    if not count:
        raise _tdds.UsageError("the data set is empty; give one with at least one image")
    os.makedirs(folder, exist_ok=True)
    paths = [os.path.join(folder, f"{split}_{what}.npy") for what in ("images", "labels")]
    parts = [path + ".part" for path in paths]
    bar = Progress(f"exporting {split}", count, progress)
    try:
        labels = np.empty(count, np.int64)
        images = None
        for i in range(count):
            image, label = dataset[i][:2]
            pixels = _as_pixels(image, i)
            if images is None:
                images = np.lib.format.open_memmap(parts[0], "w+", np.uint8, (count, *pixels.shape))
            if pixels.shape != images.shape[1:]:
                raise _tdds.UsageError(
                    f"image {i} is {list(pixels.shape)}, but the first one is {list(images.shape[1:])}; "
                    "scale all images to one size"
                )
            if label != int(label):
                raise _tdds.UsageError(f"the label of image {i} is {label}; labels are whole numbers")
            images[i], labels[i] = pixels, label
            bar.update(i + 1)
        assert images is not None
        images.flush()
        with open(parts[1], "wb") as file:
            np.save(file, labels)
        for part, path in zip(parts, paths, strict=True):
            os.replace(part, path)
    finally:
        bar.close()
        for part in parts:
            with contextlib.suppress(FileNotFoundError):
                os.remove(part)
    return count

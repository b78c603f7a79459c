#!/usr/bin/env python3
"""Times building a cache of decoded images: `tdds-train --cache_dir` against Pillow and numpy with one process per core.

  cache_images.py BUILD [--images N] [--rounds R]     BUILD: the build folder. Needs numpy and Pillow.

Both read the same files, scale the shorter side to the target size, crop the centre and write one file of uint8 pixels. The
images are synthetic, in three sets: JPEG of 500 x 375 (a typical ImageNet photograph) to 224 and to 64, and PNG of 32 x 32
(CIFAR) to 32. The rounds are interleaved; the medians are saved in bench/results/.
"""

import argparse
import multiprocessing
import os
import pathlib
import re
import tempfile
import time

import numpy as np
from PIL import Image

import measure

CASES = [("jpeg_500x375_to_224", (500, 375), "jpg", 224), ("jpeg_500x375_to_64", (500, 375), "jpg", 64),
         ("png_32x32_to_32", (32, 32), "png", 32)]


def make_images(folder, size, ending, count):
    """Smooth colours with noise, so that decoding a JPEG costs as much as for a photograph; two classes."""
    random = np.random.default_rng(1)
    for number in range(count):
        path = folder / "train" / f"class{number % 2}" / f"{number:06}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(size, Image.BICUBIC)
        noise = random.normal(0, 8, (size[1], size[0], 3))
        Image.fromarray(np.clip(np.asarray(coarse) + noise, 0, 255).astype(np.uint8)).save(path, quality=90)


def decode(job):
    path, size = job
    with Image.open(path) as image:
        image = image.convert("RGB")
        scale = size / min(image.size)
        if scale != 1:
            image = image.resize((max(size, round(image.width * scale)), max(size, round(image.height * scale))),
                                 Image.BILINEAR)
        left, top = (image.width - size) // 2, (image.height - size) // 2
        return np.asarray(image.crop((left, top, left + size, top + size)))


def with_pillow(folder, size, cache):
    """Images per second, without the time to start the processes."""
    paths = sorted((folder / "train").rglob("*.*"))
    with multiprocessing.Pool(os.cpu_count()) as pool:
        pool.map(len, ["warm"] * os.cpu_count())
        start = time.perf_counter()
        out = np.lib.format.open_memmap(cache, mode="w+", dtype=np.uint8, shape=(len(paths), size, size, 3))
        for row, pixels in enumerate(pool.imap(decode, [(path, size) for path in paths], chunksize=16)):
            out[row] = pixels
        out.flush()
        return len(paths) / (time.perf_counter() - start)


def with_tdds(build, folder, size, cache):
    """Images per second, from the program's log."""
    command = [build / "apps/tdds-train", "--dataset", "folder", "--data_path", folder, "--val_fraction", "0.01", "--image_size",
               size, "--cache_dir", cache, "--evaluate", "--width", "0.03125", "--save_path", cache / "run"]
    output, _, _ = measure.run_program(command)
    return float(re.search(r"were decoded in .* s, (\d+) images/s", output).group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    result = {"environment": measure.environment(pillow=Image.__version__, numpy=np.__version__), "cases": {}}
    for name, pixels, ending, size in CASES:
        count = args.images * (10 if ending == "png" else 1)
        rates = {"tdds": [], "pillow": []}
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)
            make_images(scratch / "data", pixels, ending, count)
            for turn in range(args.rounds):
                rates["tdds"].append(with_tdds(args.build, scratch / "data", size, scratch / f"cache{turn}"))
                rates["pillow"].append(with_pillow(scratch / "data", size, scratch / "pillow.npy"))
        medians = {side: measure.median(values) for side, values in rates.items()}
        result["cases"][name] = {"images": count, "images_per_second": medians, "rounds": rates,
                                 "ratio": medians["tdds"] / medians["pillow"]}
        print(f"{name}: tdds {medians['tdds']:.0f} images/s, Pillow + numpy {medians['pillow']:.0f}, "
              f"{medians['tdds'] / medians['pillow']:.2f} times the rate", flush=True)
    measure.keep("cache_images", result)


if __name__ == "__main__":
    main()

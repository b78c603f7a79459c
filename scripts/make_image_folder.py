#!/usr/bin/env python3
"""Writes folders of images for `tdds-train --dataset folder`. Needs numpy and Pillow.

  make_image_folder.py cifar100 CIFAR OUTPUT [--limit N]   the images of CIFAR/{train,test}.bin (cifar-100-binary) as
                                                           PNG, <class>/<row>.png under train/ and test/
  make_image_folder.py mixed CIFAR OUTPUT [--limit N]      the same images in many sizes and as JPEG, grey, RGBA, 16-bit
                                                           PNG, palette PNG, EXIF-rotated and CMYK JPEG, BMP, PPM and TGA
  make_image_folder.py fixtures OUTPUT                     one small picture in each of these forms, for the tests
"""

import argparse
import pathlib

import numpy as np
from PIL import Image

ROW = 2 + 3072


def cifar(folder, split, limit):
    """(class name, row, uint8 [32,32,3]) of every image of cifar-100-binary."""
    names = (folder / "fine_label_names.txt").read_text().split()
    rows = np.fromfile(folder / f"{split}.bin", dtype=np.uint8).reshape(-1, ROW)
    for number, row in enumerate(rows[:limit]):
        yield names[row[1]], number, row[2:].reshape(3, 32, 32).transpose(1, 2, 0)


def save_png(pixels, stem):
    Image.fromarray(pixels).save(stem.with_suffix(".png"))


def save_jpeg(pixels, stem):
    Image.fromarray(pixels).save(stem.with_suffix(".jpg"), quality=92)


def save_progressive(pixels, stem):
    Image.fromarray(pixels).save(stem.with_suffix(".JPEG"), quality=92, progressive=True)


def save_grey(pixels, stem):
    Image.fromarray(pixels).convert("L").save(stem.with_suffix(".png"))


def save_rgba(pixels, stem):
    alpha = np.full(pixels.shape[:2] + (1,), 128, dtype=np.uint8)
    Image.fromarray(np.concatenate([pixels, alpha], axis=2), "RGBA").save(stem.with_suffix(".png"))


def save_grey16(pixels, stem):
    grey = np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.uint16)
    Image.fromarray(grey * 257).save(stem.with_suffix(".png"))


def save_palette(pixels, stem):
    Image.fromarray(pixels).quantize(256).save(stem.with_suffix(".png"))


def save_rotated(pixels, stem):
    """Stored rotated; EXIF says that it must be rotated by 90 degrees clockwise (orientation 6)."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(pixels))).save(stem.with_suffix(".jpg"), quality=92, exif=exif)


def save_cmyk(pixels, stem):
    Image.fromarray(pixels).convert("CMYK").save(stem.with_suffix(".jpg"), quality=92)


def save_bmp(pixels, stem):
    Image.fromarray(pixels).save(stem.with_suffix(".bmp"))


def save_ppm(pixels, stem):
    Image.fromarray(pixels).save(stem.with_suffix(".ppm"))


def save_tga(pixels, stem):
    Image.fromarray(pixels).save(stem.with_suffix(".tga"))


FORMS = [save_png, save_jpeg, save_progressive, save_grey, save_rgba, save_grey16, save_palette, save_rotated, save_cmyk,
         save_bmp, save_ppm, save_tga]
SIZES = [(32, 32), (24, 40), (48, 32), (64, 64), (100, 37)]


def write_cifar(source, output, limit, mixed):
    for split in ("train", "test"):
        for name, number, pixels in cifar(source, split, limit):
            folder = output / split / name
            folder.mkdir(parents=True, exist_ok=True)
            if not mixed:
                save_png(pixels, folder / f"{number:05}")
                continue
            size = SIZES[number % len(SIZES)]
            resized = np.asarray(Image.fromarray(pixels).resize(size, Image.BILINEAR))
            FORMS[number % len(FORMS)](resized, folder / f"{number:05}")


def write_fixtures(output):
    """A smooth picture, so that lossy formats stay close to it; 12 wide and 8 high, so that a rotation is visible."""
    output.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0:8, 0:12]
    picture = np.stack([20 + 18 * x, 40 + 24 * y, 200 - 8 * x - 6 * y], axis=2).astype(np.uint8)
    for save in FORMS:
        save(picture, output / save.__name__.removeprefix("save_"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    forms = parser.add_subparsers(dest="form", required=True)
    for form in ("cifar100", "mixed"):
        command = forms.add_parser(form)
        command.add_argument("source", type=pathlib.Path)
        command.add_argument("output", type=pathlib.Path)
        command.add_argument("--limit", type=int, help="images of each split")
    forms.add_parser("fixtures").add_argument("output", type=pathlib.Path)
    args = parser.parse_args()
    if args.form == "fixtures":
        write_fixtures(args.output)
    else:
        write_cifar(args.source, args.output, args.limit, args.form == "mixed")


if __name__ == "__main__":
    main()

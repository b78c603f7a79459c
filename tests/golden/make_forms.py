#!/usr/bin/env python3
"""Writes one small picture in every form of every supported image format, and the pixels that Pillow decodes.

  make_forms.py FOLDER     FOLDER/<form>.<format>, and FOLDER/pillow.txt: one line per file, its name and its RGB bytes in hex

Needs numpy and Pillow 10 or later. This script encodes the forms that Pillow cannot write; Pillow reads all of them. Pillow
clips 16 bits of grey when it converts to RGB; the expected value is then their upper 8 bits (PNG), or the value scaled to 255
and rounded (PNM).
"""

import io
import pathlib
import struct
import sys
import zlib

import numpy as np
from PIL import Image

SIDE = 17
Y, X = np.mgrid[0:SIDE, 0:SIDE]
RGB = np.stack([20 + 13 * X, 240 - 12 * Y, 60 + 6 * X + 5 * Y], axis=2).astype(np.uint8)
GREY = (10 + 7 * X + 7 * Y).astype(np.uint8)
ALPHA = (255 - 9 * X).astype(np.uint8)
FORMS = {}  # name: (bytes, expected pixels, or None for the pixels that Pillow decodes)


def add(name, data, expected=None):
    FORMS[name] = (data, expected)


def grey_as_rgb(grey):
    return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)


def packed_rows(values, bits):
    """Rows of values of 1 to 16 bits, the first in the highest bits."""
    flat = values.reshape(values.shape[0], -1)
    if bits == 16:
        return [row.astype(">u2").tobytes() for row in flat]
    unpacked = (flat[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
    return [np.packbits(row.reshape(-1).astype(np.uint8)).tobytes() for row in unpacked]


# --- PNG


def chunk(kind, data=b""):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(values, bits, colour, interlaced=False, before=b""):
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b""
    for x, y, step_x, step_y in passes:
        part = values[y::step_y, x::step_x]
        if part.size:
            raw += b"".join(b"\0" + row for row in packed_rows(part, bits))
    data = zlib.compress(raw, 9)
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, colour, 0, 0, int(interlaced))
    half = len(data) // 2
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before + chunk(b"IDAT", data[:half]) + chunk(b"IDAT", data[half:]) +
            chunk(b"IEND"))


def with_alpha(values, alpha):
    return np.concatenate([values.reshape(SIDE, SIDE, -1), alpha[:, :, None]], axis=2)


def add_png():
    wide = lambda values: values.astype(np.uint16) * 256 + 77
    palette = lambda bits: bytes(np.random.default_rng(bits).integers(0, 256, 3 * 2**bits, dtype=np.uint8))
    for interlaced in (False, True):
        end = ("_interlaced" if interlaced else "") + ".png"
        for bits in (1, 2, 4, 8):
            add(f"grey{bits}{end}", png(GREY >> (8 - bits), bits, 0, interlaced))
            add(f"palette{bits}{end}", png(GREY >> (8 - bits), bits, 3, interlaced, chunk(b"PLTE", palette(bits))))
        add(f"grey16{end}", png(wide(GREY), 16, 0, interlaced), grey_as_rgb(GREY))
        add(f"rgb8{end}", png(RGB, 8, 2, interlaced))
        add(f"rgb16{end}", png(wide(RGB), 16, 2, interlaced))
        add(f"grey_alpha8{end}", png(with_alpha(GREY, ALPHA), 8, 4, interlaced))
        add(f"grey_alpha16{end}", png(wide(with_alpha(GREY, ALPHA)), 16, 4, interlaced))
        add(f"rgba8{end}", png(with_alpha(RGB, ALPHA), 8, 6, interlaced))
        add(f"rgba16{end}", png(wide(with_alpha(RGB, ALPHA)), 16, 6, interlaced))
    add("rgb8_transparent.png", png(RGB, 8, 2, before=chunk(b"tRNS", struct.pack(">3H", 20, 240, 60))))
    short = chunk(b"PLTE", palette(4)[:33]) + chunk(b"tRNS", b"\x80\xff")
    add("palette_short.png", png(GREY % 11, 4, 3, before=short))
    outside = png(GREY % 16, 4, 3, before=chunk(b"PLTE", palette(4)[:33]))
    colours = np.frombuffer(palette(4)[:33] + bytes(15), np.uint8).reshape(16, 3)
    add("palette_outside.png", outside, colours[GREY % 16])  # black, like libpng


# --- BMP


def bmp(values, bits, header=40, compression=0, between=b"", top_down=False, after=b""):
    rows = packed_rows(values, bits) if bits <= 8 else [row.tobytes() for row in values]
    rows = [row + bytes(-len(row) % 4) for row in rows]
    data = b"".join(rows if top_down else rows[::-1])
    height = -SIDE if top_down else SIDE
    head = struct.pack("<IiiHHIIiiII", header, SIDE, height, 1, bits, compression, len(data), 2835, 2835, 0, 0)
    head += between
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(data), 0, 0, 14 + len(head)) + head + data + after


def add_bmp():
    bgr = np.ascontiguousarray(RGB[:, :, ::-1])
    bgra = np.concatenate([bgr, ALPHA[:, :, None]], axis=2)
    red, green, blue = (RGB[:, :, i].astype(np.uint16) for i in range(3))
    palette = lambda colours: np.random.default_rng(colours).integers(0, 256, 4 * colours, dtype=np.uint8).tobytes()
    for bits in (1, 4, 8):
        add(f"palette{bits}.bmp", bmp(GREY >> (8 - bits), bits, between=palette(2**bits)))
    add("palette_short.bmp", bmp(GREY % 11, 4, between=palette(11)))
    five = (red >> 3) << 10 | (green >> 3) << 5 | blue >> 3
    six = (red >> 3) << 11 | (green >> 2) << 5 | blue >> 3
    add("rgb16.bmp", bmp(five, 16))
    add("rgb16_masks.bmp", bmp(six, 16, compression=3, between=struct.pack("<III", 0xF800, 0x7E0, 0x1F)))
    add("rgb24.bmp", bmp(bgr, 24))
    add("rgb24_top_down.bmp", bmp(bgr, 24, top_down=True))
    add("rgb32.bmp", bmp(bgra, 32))
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    add("rgba32_v4.bmp", bmp(bgra, 32, header=108, compression=3, between=masks + b"BGRs" + bytes(48)))
    add("rgba32_v5.bmp", bmp(bgra, 32, header=124, compression=3, between=masks + b"BGRs" + bytes(64)))
    old = b"BM" + struct.pack("<IHHIIHHHH", 0, 0, 0, 26, 12, SIDE, SIDE, 1, 24)
    add("rgb24_os2.bmp", old + b"".join(row.tobytes() + bytes(-51 % 4) for row in bgr[::-1]))


# --- TGA


def packets(pixels):
    """Runs of equal pixels, and raw packets between them."""
    out, at = b"", 0
    while at < len(pixels):
        run = 1
        while at + run < len(pixels) and run < 128 and pixels[at + run] == pixels[at]:
            run += 1
        raw = run == 1
        if raw:
            run = min(5, len(pixels) - at)
        out += bytes([run - 1 if raw else 127 + run]) + b"".join(pixels[at:at + run] if raw else pixels[at:at + 1])
        at += run
    return out


def tga(values, kind, bits, colours=b"", colour_bits=0, down=True, mirrored=False, packed=False):
    rows = values if down else values[::-1]
    pixels = [bytes(pixel) for row in rows for pixel in (row[::-1] if mirrored else row)]
    count = len(colours) * 8 // (colour_bits + colour_bits % 2) if colours else 0
    head = struct.pack("<BBBHHBHHHHBB", 3, int(kind == 1), kind + 8 * packed, 0, count, colour_bits, 0, 0, SIDE, SIDE, bits,
                       0x20 * down + 0x10 * mirrored)
    return head + b"tdd" + colours + (packets(pixels) if packed else b"".join(pixels))


def add_tga():
    bgr = RGB[:, :, ::-1]
    bgra = np.concatenate([bgr, ALPHA[:, :, None]], axis=2)
    red, green, blue = (RGB[:, :, i].astype(np.uint16) >> 3 for i in range(3))
    five = (red << 10 | green << 5 | blue).astype("<u2").view(np.uint8).reshape(SIDE, SIDE, 2)
    index = (GREY >> 5)[:, :, None]
    flat = (GREY >> 4 << 4)[:, :, None]
    palette = np.random.default_rng(1).integers(0, 256, (8, 4), dtype=np.uint8)
    five_palette = (np.arange(8, dtype="<u2") * 4321 % 32768).astype("<u2").tobytes()
    for packed in (False, True):
        end = ("_packed" if packed else "") + ".tga"
        five_rgb = np.stack([red, green, blue], axis=2).astype(np.int64) * 255 // 31
        add(f"rgb16{end}", tga(five, 2, 16, packed=packed), five_rgb.astype(np.uint8))
        add(f"rgb24{end}", tga(bgr, 2, 24, packed=packed))
        add(f"rgb24_up{end}", tga(bgr, 2, 24, down=False, packed=packed))
        add(f"rgb24_mirrored{end}", tga(bgr, 2, 24, mirrored=True, packed=packed), RGB)
        add(f"rgba32{end}", tga(bgra, 2, 32, packed=packed))
        add(f"grey8{end}", tga(flat, 3, 8, packed=packed))
        add(f"palette24{end}", tga(index, 1, 8, palette[:, :3].tobytes(), 24, packed=packed))
        add(f"palette32{end}", tga(index, 1, 8, palette.tobytes(), 32, packed=packed), palette[:, 2::-1][GREY >> 5])
        add(f"palette16{end}", tga(index, 1, 8, five_palette, 16, packed=packed),
            np.stack([(np.frombuffer(five_palette, "<u2").astype(np.int64) >> shift & 31) * 255 // 31
                      for shift in (10, 5, 0)], axis=1).astype(np.uint8)[GREY >> 5])
    add("grey_alpha.tga", tga(np.stack([GREY, ALPHA], axis=2), 3, 16))
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "TGA", compression="tga_rle")
    add("pillow_rle.tga", file.getvalue())


# --- PNM


def pnm(values, largest):
    head = f"P{6 if values.ndim == 3 else 5}\n# a comment\n{SIDE} {SIDE}\n{largest}\n".encode()
    return head + values.astype(">u2" if largest > 255 else np.uint8).tobytes()


def add_pnm():
    for largest in (1, 15, 100, 255, 1023, 65535):
        scaled = lambda values: np.floor(values.astype(np.float64) / 255 * largest + 0.5).astype(np.int64)
        back = lambda values: np.floor(values * 255 / largest + 0.5).astype(np.uint8)
        add(f"rgb_{largest}.ppm", pnm(scaled(RGB), largest))
        add(f"grey_{largest}.pgm", pnm(scaled(GREY), largest), grey_as_rgb(back(scaled(GREY))))


# --- JPEG


def jpeg(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, **options)
    return file.getvalue()


def without(data, marker):
    """The file without the segments of this marker before the frame."""
    out, at = data[:2], 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2:at + 4], "big")
        out += data[at:end] if data[at + 1] != marker else b""
        at = end
    return out + data[at:]


def adobe(data, transform):
    """The file with Adobe's marker, and no other application marker, directly after the start."""
    plain = without(without(data, 0xE0), 0xEE)
    return plain[:2] + b"\xff\xee\x00\x0eAdobe\x00\x64\0\0\0\0" + bytes([transform]) + plain[2:]


def add_jpeg():
    grey, rgb = Image.fromarray(GREY), Image.fromarray(RGB)
    cmyk = Image.fromarray(np.concatenate([255 - RGB, GREY[:, :, None] // 4], axis=2), "CMYK")
    for progressive in (False, True):
        end = ("_progressive" if progressive else "") + ".jpg"
        add(f"grey{end}", jpeg(grey, progressive=progressive))
        for sampling in ("4:4:4", "4:2:2", "4:2:0"):
            add(f"ycc{sampling.replace(':', '')}{end}", jpeg(rgb, subsampling=sampling, progressive=progressive))
        add(f"rgb{end}", jpeg(rgb, keep_rgb=True, progressive=progressive))
        add(f"restarts{end}", jpeg(rgb, restart_marker_blocks=1, progressive=progressive))
        add(f"cmyk_adobe{end}", jpeg(cmyk, progressive=progressive))
        add(f"cmyk_plain{end}", without(jpeg(cmyk, progressive=progressive), 0xEE))
    add("ycc_optimized.jpg", jpeg(rgb, optimize=True))
    add("ycc_no_jfif.jpg", without(jpeg(rgb), 0xE0))
    add("ycc_adobe.jpg", adobe(jpeg(rgb, subsampling="4:4:4"), 1))
    add("rgb_adobe.jpg", adobe(jpeg(rgb, subsampling="4:4:4"), 0))
    add("ycck.jpg", adobe(jpeg(cmyk), 2))
    add("ycck_odd_marker.jpg", adobe(jpeg(cmyk), 1))


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for add_all in (add_png, add_bmp, add_tga, add_pnm, add_jpeg):
        add_all()
    lines = []
    for name, (data, expected) in sorted(FORMS.items()):
        (folder / name).write_bytes(data)
        decoded = None
        try:
            decoded = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        except Exception as error:
            print(f"{name}: Pillow: {error}", file=sys.stderr)
        if expected is None:
            expected = decoded
        elif decoded is not None and not np.array_equal(decoded, expected):
            print(f"{name}: Pillow differs by up to {np.abs(decoded.astype(int) - expected).max()}", file=sys.stderr)
        lines.append(f"{name} {expected.tobytes().hex()}\n")
    (folder / "pillow.txt").write_text("".join(lines))


if __name__ == "__main__":
    main()

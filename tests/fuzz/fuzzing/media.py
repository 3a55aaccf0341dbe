"""Image files of every format, changed in their bytes, their TIFF tags or their EXIF tags; and short videos."""

from __future__ import annotations

import io
import struct
from functools import cache
from pathlib import Path
from random import Random

import cv2
import numpy as np
from PIL import Image

from detkit.data.media.images import image_size, read_image
from detkit.data.media.video import Video

from .case import Case, expect
from .labels import SIZE, image_bytes
from .mutate import mutate_bytes

KINDS = (
    *(("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "1"), ("PNG", "LA"), ("GIF", "P")),
    *(
        ("BMP", "RGB"),
        ("WEBP", "RGBA"),
        ("TIFF", "RGB"),
        ("TIFF", "L"),
        ("TIFF", "F"),
        ("PPM", "RGB"),
        ("JPEG2000", "RGB"),
        ("AVIF", "RGB"),
    ),
)
SUFFIXES = {"JPEG": ".jpg", "JPEG2000": ".jp2"}


def images(rng: Random, folder: Path) -> Case:
    """An image file with changed bytes, sometimes under the extension of another format."""
    kind, mode = rng.choice(KINDS)
    suffix = SUFFIXES.get(kind, f".{kind.lower()}") if rng.random() < 0.9 else rng.choice((".jpg", ".png", ".tiff", ".gif"))
    path = folder / f"photo{suffix}"
    path.write_bytes(mutate_bytes(rng, image_bytes(kind, mode)))
    return Case(lambda: _read(path), (path.name,))


def _read(path: Path) -> None:
    pixels = read_image(path)
    expect(pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and 0 not in pixels.shape, f"pixels {pixels.shape}")
    expect(image_size(path) == pixels.shape[:2], f"image_size {image_size(path)} of pixels {pixels.shape}")


@cache
def _plain() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.array(Image.open(io.BytesIO(image_bytes("PNG"))))


ROTATIONS = (
    *(lambda x: x, lambda x: x[:, ::-1], lambda x: x[::-1, ::-1], lambda x: x[::-1]),
    *(lambda x: x.transpose(1, 0, 2), lambda x: x[::-1].transpose(1, 0, 2)),
    *(lambda x: x[::-1, ::-1].transpose(1, 0, 2), lambda x: x[:, ::-1].transpose(1, 0, 2)),
)
"""Pixels by EXIF orientation, from 1 to 8."""


def exif(rng: Random, folder: Path) -> Case:
    """A lossless image with broken EXIF tags: it is read, and its pixels are those of the file in one of the eight orientations."""
    path = folder / "photo.png"
    with Image.open(io.BytesIO(image_bytes("PNG"))) as image:
        image.save(path, exif=_exif(rng))
    return Case(lambda: _read_lossless(path), ())


def _read_lossless(path: Path) -> None:
    pixels = read_image(path)
    expect(any(np.array_equal(pixels, turn(_plain())) for turn in ROTATIONS), "other pixels than the file has")
    expect(image_size(path) == pixels.shape[:2], f"image_size {image_size(path)} of pixels {pixels.shape}")


def _exif(rng: Random) -> bytes:
    """Return EXIF data with the orientation in any type and place, other tags, loops and offsets beyond the end."""
    order = rng.choice("<>")
    entries = [_entry(rng, order, 274)] + [
        _entry(rng, order, rng.choice((1, 271, 274, 34665, 34853, 513, 65535))) for _ in range(rng.randrange(4))
    ]
    rng.shuffle(entries)
    count = rng.choice((len(entries), len(entries), 0, 1, 65535))
    following = rng.choice((0, 8, 2**32 - 1, 14))
    data = (
        (b"II*\0" if order == "<" else b"MM\0*")
        + struct.pack(f"{order}IH", 8, count)
        + b"".join(entries)
        + struct.pack(f"{order}I", following)
    )
    data = mutate_bytes(rng, data) if rng.random() < 0.3 else data
    return b"Exif\0\0" + data


def _entry(rng: Random, order: str, tag: int) -> bytes:
    kind = rng.choice((3, 3, 3, *range(14), 65535))
    count = rng.choice((1, 1, 1, 0, 2, 1000, 2**32 - 1))
    value = rng.choice((rng.randrange(10), rng.randrange(10) << 16, 2**32 - 1, 8, 0x31000000))
    return struct.pack(f"{order}HHII", tag, kind, count, value)


def tiff(rng: Random, folder: Path) -> Case:
    """A TIFF with values of its tags changed: sizes, counts of bits, offsets, compression."""
    path = folder / "photo.tif"
    data = bytearray(image_bytes("TIFF", rng.choice(("RGB", "L", "F", "I;16", "CMYK"))))
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = start + 2 + 12 * rng.randrange(count)
        field, form = rng.choice(((0, "H"), (2, "H"), (4, "I"), (8, "I"), (8, "I"), (8, "I")))
        number = rng.choice((0, 1, 2, 3, 4, 7, 8, 16, 32, 64, 255, 5, 32773, 65535, 100_000, 2**31, 2**32 - 1, rng.randrange(2000)))
        struct.pack_into(f"{order}{form}", data, at + field, number % (65536 if form == "H" else 2**32))
    path.write_bytes(data)
    return Case(lambda: _read(path), (path.name,))


def video(rng: Random, folder: Path) -> Case:
    """A video of five frames with changed bytes: the frames that are read have its size, or an error names it."""
    path = folder / "clip.avi"
    path.write_bytes(mutate_bytes(rng, _video_bytes(folder.parent)))
    return Case(lambda: _read_video(path), (path.name,))


def _read_video(path: Path) -> None:
    for number, frame in enumerate(Video(path).frames()):
        expect(frame.pixels.ndim == 3 and frame.pixels.shape[2] == 3, f"a frame of shape {frame.pixels.shape}")
        expect(number < 1000, "1,000 frames out of five")


@cache
def _video_bytes(folder: Path) -> bytes:
    path = folder / "source.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, SIZE[::-1])
    for number in range(5):
        writer.write(np.full((*SIZE, 3), 40 * number, np.uint8))
    writer.release()
    data = path.read_bytes()
    path.unlink()
    return data

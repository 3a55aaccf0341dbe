"""Small videos with known frames."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import cv2
import numpy as np
from bright import image


def film(path: Path, frames: int = 6, rate: float = 10.0, codec: str = "mp4v", size: tuple[int, int] = (60, 80)) -> Path:
    """Write a video of a red rectangle that moves three pixels to the right with each frame."""
    height, width = size
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, (width, height))
    assert writer.isOpened()
    for index in range(frames):
        frame = image(height, width, red=(3 * index, 20, 3 * index + 20, 40))
        writer.write(np.ascontiguousarray(frame[:, :, ::-1]))
    writer.release()
    return path


def with_rotation_mark(path: Path, clockwise: int = 90) -> Path:
    """Copy a video with the mark of a phone: rotate by 90, 180 or 270 degrees clockwise when shown."""
    data = bytearray(path.read_bytes())
    matrix = data.find(b"tkhd") + 4 + 40
    one = 1 << 16
    a, b, c, d = {90: (0, one, -one, 0), 180: (-one, 0, 0, -one), 270: (0, -one, one, 0)}[clockwise]
    data[matrix : matrix + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    rotated = path.with_name(f"rotated_{path.name}")
    rotated.write_bytes(data)
    return rotated


def truncated(path: Path, fraction: float = 0.5) -> Path:
    """Copy the first part of a file."""
    data = path.read_bytes()
    shorter = path.with_name(f"truncated_{path.name}")
    shorter.write_bytes(data[: int(fraction * len(data))])
    return shorter


def damaged(path: Path, *numbers: int) -> Path:
    """Copy an AVI film with some of its frames overwritten by zeros."""
    data = bytearray(path.read_bytes())
    starts = [match.start() for match in re.finditer(b"00dc", bytes(data)) if match.start() > data.find(b"movi")]
    for number in numbers:
        start = starts[number] + 8
        length = struct.unpack("<I", data[start - 4 : start])[0]
        data[start : start + length] = bytes(length)
    copy = path.with_name(f"damaged_{path.name}")
    copy.write_bytes(data)
    return copy


def trimmed(path: Path) -> Path:
    """Copy an MP4 film with an edit list that shows its first half, as phones trim without writing the frames again."""
    data = bytearray(path.read_bytes())
    header = data.find(b"elst") + 4
    assert header > 4
    (duration,) = struct.unpack_from(">I", data, header + 8)
    struct.pack_into(">I", data, header + 8, duration // 2)
    copy = path.with_name(f"trimmed_{path.name}")
    copy.write_bytes(data)
    return copy


def with_durations(path: Path, seconds: tuple[float, ...]) -> Path:
    """Copy an MP4 film with a duration of its own for each frame, as phones write it: the frame rate varies."""
    data = bytearray(path.read_bytes())
    units = [round(10_240 * duration) for duration in seconds]  # OpenCV writes this time scale for 10 frames per second
    (scale,) = struct.unpack_from(">I", data, data.find(b"mdhd") + 16)
    assert scale == 10_240
    table = struct.pack(">II", 0, len(units)) + b"".join(struct.pack(">II", 1, duration) for duration in units)
    start = data.find(b"stts") + 4
    (length,) = struct.unpack_from(">I", data, start - 8)
    assert data.find(b"mdat") < start  # so that no frame moves
    data[start : start - 8 + length] = table
    for parent in (b"stts", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        position = data.find(parent) - 4
        struct.pack_into(">I", data, position, struct.unpack_from(">I", data, position)[0] + len(table) + 8 - length)
    struct.pack_into(">I", data, data.find(b"mdhd") + 20, sum(units))
    struct.pack_into(">I", data, data.find(b"elst") + 12, round(1000 * sum(seconds)))  # in the movie's time scale, milliseconds
    copy = path.with_name(f"variable_{path.name}")
    copy.write_bytes(data)
    return copy

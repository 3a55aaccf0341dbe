"""Statements of video containers about themselves: whether a file is cut short, and whether all of its frames are shown."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

_MOST_BOXES = 100_000
"""Boxes or chunks of one level that are visited; a damaged file may have any number of empty ones."""

Box = tuple[bytes, int, int]
"""Kind, start of the content and end of a box, in bytes of the file; the end may be after the end of the file."""


def missing_bytes(file: BinaryIO, size: int) -> int:
    """Return how many bytes the container of a video states that the file does not have: 0 for whole files and other containers.

    Known are AVI, MP4 with its relatives, and Matroska with WebM.

    Args:
        file: The video.
        size: Its number of bytes.
    """
    file.seek(0)
    start = file.read(12)
    if start[:4] == b"RIFF":
        ends = [end for kind, _, end in _chunks(file, size) if kind == b"RIFF"]
    elif start[4:8] in _FIRST_BOXES:
        ends = [end for _, _, end in _boxes(file, 0, size)]
    elif start[:4] == _EBML:
        ends = [_segment_end(file)]
    else:
        return 0
    return max(max(ends, default=0) - size, 0)


_EBML, _SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"
_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}


def shows_every_frame(file: BinaryIO, size: int, frames: int) -> bool:
    """Return whether the frames that a header counts are all stored and shown: AVI, and MP4 that is not trimmed by an edit list.

    Args:
        file: The video.
        size: Its number of bytes.
        frames: Number of frames in its header.
    """
    file.seek(0)
    start = file.read(12)
    if start[:4] == b"RIFF":
        return True
    if start[4:8] not in _FIRST_BOXES:
        return False
    try:
        return _shown_share(file, size) > 1 - 1.5 / max(frames, 1)
    except (struct.error, LookupError, ArithmeticError, ValueError, OSError):
        return False


def _chunks(file: BinaryIO, size: int) -> Iterator[Box]:
    """Yield the chunks of a RIFF file; large ones consist of several, each of up to a gigabyte."""
    position = 0
    for _ in range(_MOST_BOXES):
        file.seek(position)
        header = file.read(8)
        if position >= size or len(header) < 8:
            return
        length = int.from_bytes(header[4:], "little")
        yield header[:4], position + 8, position + 8 + length
        position += 8 + length + length % 2


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes between two positions (ISO/IEC 14496-12, section 4.2)."""
    for _ in range(_MOST_BOXES):
        file.seek(start)
        header = file.read(16)
        if start + 8 > end or len(header) < 8:
            return
        length, content = int.from_bytes(header[:4], "big"), start + 8
        if length == 1:
            length, content = int.from_bytes(header[8:16], "big"), start + 16
        stop = end if length == 0 else start + length
        if stop < content:
            return
        yield header[4:8], content, stop
        start = stop


def _segment_end(file: BinaryIO) -> int:
    """Return where the segment of a Matroska file ends, 0 if its size is unknown, as in recordings (RFC 8794, sections 4 and 6)."""
    position = 0
    for _ in range(2):
        file.seek(position)
        kind, size = file.read(4), file.read(8)
        if len(size) < 8 or not size[0]:
            return 0
        width = 9 - size[0].bit_length()
        length = int.from_bytes(size[:width], "big") & ((1 << 7 * width) - 1)
        if kind == _SEGMENT:
            return 0 if length == (1 << 7 * width) - 1 else position + 4 + width + length
        position += 4 + width + length
    return 0


def _shown_share(file: BinaryIO, size: int) -> float:
    """Return the share of the video track's duration that its edit list shows; 1 without one."""
    movie = {box[0]: box for box in _boxes(file, 0, size)}[b"moov"]
    parts = list(_boxes(file, *movie[1:]))
    movie_scale, _ = _scale_and_duration(file, {box[0]: box for box in parts}[b"mvhd"])
    for track in (list(_boxes(file, *box[1:])) for box in parts if box[0] == b"trak"):
        media = {box[0]: box for _, start, end in (box for box in track if box[0] == b"mdia") for box in _boxes(file, start, end)}
        if not _is_video(file, media[b"hdlr"]):
            continue
        scale, duration = _scale_and_duration(file, media[b"mdhd"])
        edits = [box for _, start, end in (box for box in track if box[0] == b"edts") for box in _boxes(file, start, end)]
        shown = [_edited_duration(file, box) for box in edits if box[0] == b"elst"]
        return shown[0] / movie_scale / (duration / scale) if shown else 1.0
    return 1.0


def _is_video(file: BinaryIO, box: Box) -> bool:
    file.seek(box[1] + 8)
    return file.read(4) == b"vide"


def _scale_and_duration(file: BinaryIO, box: Box) -> tuple[int, int]:
    """Return units per second, and the duration in units, of a movie or media header (sections 8.2.2 and 8.4.2)."""
    file.seek(box[1])
    content = file.read(32)
    scale, duration = struct.unpack(">IQ", content[20:32]) if content[0] == 1 else struct.unpack(">II", content[12:20])
    return int(scale), int(duration)


def _edited_duration(file: BinaryIO, box: Box) -> int:
    """Return the duration of the edits that show media, in units of the movie (section 8.6.6)."""
    file.seek(box[1])
    content = file.read(min(box[2] - box[1], 8 + 20 * _MOST_BOXES))
    count = struct.unpack(">I", content[4:8])[0]
    row = struct.Struct(">Qqi" if content[0] == 1 else ">Iii")
    edits = (row.unpack_from(content, 8 + index * row.size) for index in range(min(count, _MOST_BOXES)))
    return sum(int(duration) for duration, start, _ in edits if start >= 0)

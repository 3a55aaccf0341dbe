"""Decoding of all images, once: digests of their bytes and pixels, sizes and thumbnails; and the files that cannot be decoded."""

from __future__ import annotations

import io
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detkit.arrays import ImageArray, Integers
from detkit.curation.duplicates.cache import KEY_BYTES, PixelCache, digest, source_keys
from detkit.curation.duplicates.hashes import THUMBNAIL, thumbnail
from detkit.curation.duplicates.images import Source
from detkit.curation.duplicates.rows import RowFile, Rows
from detkit.data.media.endings import seems_whole
from detkit.data.media.files import read_regular
from detkit.data.media.images import decode_image, open_header
from detkit.ops.windows import Window

Progress = Callable[[int, int], None]
"""Called with the number of images done, and that of all images."""

_FIELDS: list[Any] = [
    ("key", "u1", KEY_BYTES),
    ("content", "u1", KEY_BYTES),
    ("pixels", "u1", KEY_BYTES),
    ("size", "<i4", 2),
    ("thumbnail", "u1", (THUMBNAIL, THUMBNAIL)),
]
_ROWS_A_WRITE, _SECONDS_A_WRITE = 256, 5.0
"""Rows or seconds after which results are stored, so that a run that is stopped loses little."""


@dataclass(frozen=True)
class BrokenImage:
    """An image that cannot be decoded.

    Attributes:
        message: The reader's message, which names the file and advises.
        is_truncated: Whether its end is missing.
    """

    message: str
    is_truncated: bool


@dataclass(frozen=True, eq=False)
class Scan:
    """What was computed from the pixels of ``M`` images.

    Attributes:
        keys: The key of each image in the cache.
        contents: ``(M, 16)`` uint8, digests of the files' bytes; zeros for parts of files.
        pixels: ``(M, 16)`` uint8, digests of the upright RGB pixels and their size.
        sizes: ``(M, 2)`` int64 ``height width``; zeros where the image cannot be decoded.
        thumbnails: ``(M, 32, 32)`` uint8.
        broken: The images that cannot be decoded, by index.
    """

    keys: list[bytes]
    contents: NDArray[np.uint8]
    pixels: NDArray[np.uint8]
    sizes: Integers
    thumbnails: ImageArray
    broken: dict[int, BrokenImage]


def scan(
    sources: Sequence[Source], *, workers: int | None = None, progress: Progress | None = None, cache: PixelCache | None = None
) -> Scan:
    """Decode every image that is not in the cache, by threads; few images are in memory at a time.

    Images that cannot be decoded are not cached, so that their messages are those of the files as they are.

    Args:
        sources: The images.
        workers: Number of threads; None: one for each core.
        progress: Called after every image.
        cache: Where results are stored; None: nowhere.
    """
    keys = source_keys(sources)
    broken: dict[int, BrokenImage] = {}
    with RowFile(None if cache is None else cache.images, _FIELDS) as file:
        rows, missing = _from_cache(file, keys)
        writer = _Writer(file, rows)
        try:
            for index, result in _decoded(sources, missing, workers or os.cpu_count() or 1):
                if isinstance(result, BrokenImage):
                    broken[index] = result
                else:
                    rows["key"][index] = np.frombuffer(keys[index], np.uint8)
                    for name, value in zip(("content", "pixels", "size", "thumbnail"), result, strict=True):
                        rows[name][index] = value
                    writer.add(index)
                if progress is not None:
                    progress(len(sources) - len(missing) + writer.count + len(broken), len(sources))
        finally:
            writer.write()
    return Scan(keys, rows["content"], rows["pixels"], rows["size"].astype(np.int64), rows["thumbnail"], broken)


def _from_cache(file: RowFile, keys: Sequence[bytes]) -> tuple[Rows, list[int]]:
    """Return a row for every image, filled where it was cached, and the images that were not; rows of changed files are removed if many."""
    stored = file.read()
    content = stored["key"].tobytes()
    index = {content[start : start + KEY_BYTES]: row for row, start in enumerate(range(0, len(content), KEY_BYTES))}
    found = np.array([index.get(key, -1) for key in keys], np.int64)
    rows = file.empty(len(keys))
    known = np.flatnonzero(found >= 0)
    rows[known] = stored[found[known]]
    if len(stored) > 2 * max(len(np.unique(found[known])), 1000):
        file.write(stored[np.unique(found[known])])
    return rows, np.flatnonzero(found < 0).tolist()


class _Writer:
    """Appends finished rows to the file, some at a time."""

    def __init__(self, file: RowFile, rows: Rows) -> None:
        self._file, self._rows = file, rows
        self._waiting: list[int] = []
        self._written = time.monotonic()
        self.count = 0

    def add(self, index: int) -> None:
        """Add a row."""
        self._waiting.append(index)
        self.count += 1
        if len(self._waiting) >= _ROWS_A_WRITE or time.monotonic() > self._written + _SECONDS_A_WRITE:
            self.write()

    def write(self) -> None:
        """Write the rows that wait."""
        self._file.append(self._rows[self._waiting])
        self._waiting, self._written = [], time.monotonic()


_Decoded = tuple[Any, Any, tuple[int, int], ImageArray]
"""Digest of the bytes, digest of the pixels, size and thumbnail."""


def _decoded(sources: Sequence[Source], indices: Sequence[int], workers: int) -> Iterator[tuple[int, _Decoded | BrokenImage]]:
    """Yield the result of each image; all parts of one file are cut out of one decoding of it."""
    by_path: dict[str, list[int]] = {}
    for index in indices:
        by_path.setdefault(sources[index][0], []).append(index)
    jobs = iter(by_path.items())
    with ThreadPoolExecutor(workers, thread_name_prefix="detkit-pixels") as pool:

        def submit(count: int) -> list[Any]:
            return [(rows, pool.submit(_decode, path, [sources[row][1] for row in rows])) for path, rows in islice(jobs, count)]

        queue = deque(submit(2 * workers))
        try:
            while queue:
                rows, future = queue.popleft()
                yield from zip(rows, future.result(), strict=True)
                queue.extend(submit(1))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _decode(path: str, windows: Sequence[Window | None]) -> list[_Decoded | BrokenImage]:
    data = b""
    try:
        data = read_regular(path)
        image = decode_image(data, path)
    except (ValueError, OSError, MemoryError) as error:
        return [BrokenImage(_message(path, error), _is_truncated(data, error))] * len(windows)
    return [_facts(data, image, path, window) for window in windows]


def _facts(data: bytes, image: ImageArray, path: str, window: Window | None) -> _Decoded | BrokenImage:
    content = np.frombuffer(digest(data), np.uint8) if window is None else np.zeros(KEY_BYTES, np.uint8)
    if window is not None:
        if window.x2 > image.shape[1] or window.y2 > image.shape[0]:
            message = f"{path}: it has {image.shape[1]} x {image.shape[0]} pixels, but its labels are for {window.x2} x {window.y2}"
            return BrokenImage(message, is_truncated=False)
        image = np.ascontiguousarray(image[window.y1 : window.y2, window.x1 : window.x2])
    height, width = image.shape[:2]
    pixels = digest(repr((height, width)).encode() + digest(np.ascontiguousarray(image).data))
    return content, np.frombuffer(pixels, np.uint8), (height, width), thumbnail(image)


def _message(path: str, error: Exception) -> str:
    if isinstance(error, ValueError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{path}: there is not enough memory to decode it"
    reason = getattr(error, "strerror", None) or error
    return f"{path}: the file cannot be read ({reason}); check the path, its permissions and its disk"


def _is_truncated(data: bytes, error: Exception) -> bool:
    """Return whether the header can be read and the end is missing."""
    try:
        with open_header(io.BytesIO(data)) as header:
            return not seems_whole(io.BytesIO(data), header.format) or "truncated (" in str(error)
    except Exception:  # Pillow raises almost anything on broken files
        return False

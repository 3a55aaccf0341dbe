"""A predictor over many images, which background threads read while it works."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from detkit.data.images import read_image
from detkit.data.record_image import read_record
from detkit.data.records import DetectionData, ImageRecord
from detkit.structures import Detections

T = TypeVar("T")
Pixels = NDArray[np.uint8]


class Finder(Protocol):
    """What runs over many images: a :class:`Predictor`, or an :class:`ImagePyramid` of one."""

    batch_size: int
    class_names: tuple[str | None, ...]

    def prepare(self, image: Any) -> Any:
        """A image made ready."""

    def detect(self, prepared: Sequence[Any]) -> list[Detections]:
        """The detections of images made ready, in their own pixels."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one file.

    Attributes:
        path: The file.
        image: ``(H, W, 3)`` uint8 RGB, or ``None`` if it could not be read.
        detections: In the image's own pixels, or ``None``.
        error: Why it could not be read, or ``None``.
    """

    path: Path
    image: Pixels | None = None
    detections: Detections | None = None
    error: Exception | None = None


def detect_records(
    predictor: Finder, data: DetectionData | Iterable[ImageRecord], *, threads: int = 2
) -> Iterator[tuple[ImageRecord, Detections]]:
    """Each labeled image with its detections, in the order of the records.

    Raises:
        FileNotFoundError: a image is missing.
        ValueError: a image cannot be read, or has another size than its record says; the message names the file.
    """
    records = data.records if isinstance(data, DetectionData) else data
    for window in _windows(records, read_record, predictor.batch_size, threads):
        prepared = []
        for record, pixels in window:
            if isinstance(pixels, Exception):
                raise pixels
            _check_size(record, pixels)
            prepared.append(predictor.prepare(pixels))
        yield from zip((record for record, _ in window), predictor.detect(prepared), strict=True)


def detect_files(predictor: Finder, paths: Iterable[str | Path], *, threads: int = 2) -> Iterator[Outcome]:
    """What became of each image file, in order; one that cannot be read carries its error and stops nothing."""
    for window in _windows(paths, read_image, predictor.batch_size, threads):
        good = [(place, pixels) for place, (_, pixels) in enumerate(window) if not isinstance(pixels, Exception)]
        rows = dict(zip((place for place, _ in good), predictor.detect([predictor.prepare(p) for _, p in good]), strict=True))
        for place, (path, pixels) in enumerate(window):
            if isinstance(pixels, Exception):
                yield Outcome(Path(path), error=pixels)
            else:
                yield Outcome(Path(path), pixels, rows[place])


def _windows(
    items: Iterable[T], read: Callable[[T], Pixels], batch_size: int, threads: int
) -> Iterator[list[tuple[T, Pixels | Exception]]]:
    """The items in windows, each with its image or the error of reading it; the next window is read meanwhile.

    A window holds several batches, so that images of one size find each other in it.
    """
    length = 1 if batch_size == 1 else 4 * batch_size
    source = iter(items)
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="reader") as pool:
        ahead: deque[tuple[T, Future[Pixels]]] = deque()

        def fill(count: int) -> None:
            ahead.extend((item, pool.submit(read, item)) for item in islice(source, count))

        fill(max(2 * length, threads + 1))
        try:
            while ahead:
                window = [ahead.popleft() for _ in range(min(length, len(ahead)))]
                yield [(item, _result(future)) for item, future in window]
                fill(len(window))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _result(future: Future[Pixels]) -> Pixels | Exception:
    try:
        return future.result()
    except (ValueError, OSError) as error:
        return error


def _check_size(record: ImageRecord, pixels: Pixels) -> None:
    if tuple(pixels.shape[:2]) != tuple(record.size):
        height, width = record.size
        raise ValueError(
            f"{record.path}: its annotation says {width} x {height}, the file has {pixels.shape[1]} x {pixels.shape[0]}; "
            "its boxes would be wrong, so correct the annotation"
        )

"""Detection on image files, which background threads read ahead; runs without PyTorch if the predictor does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from detkit.arrays import ImageArray
from detkit.data.live.address import is_address
from detkit.data.media.image_regions import ImageRegions
from detkit.data.media.images import read_image
from detkit.data.media.regions import open_large
from detkit.data.media.source import FrameSource
from detkit.inference.min_scores import LeftOut

T = TypeVar("T")
R = TypeVar("R")
D = TypeVar("D")
D_co = TypeVar("D_co", covariant=True)


class PredictorOf(Protocol[D_co]):
    """Interface of whatever detects on images, by the type of the detections of one image: tensors or arrays."""

    batch_size: int
    class_names: tuple[str | None, ...]

    @property
    def max_detections(self) -> int | None:
        """Maximum number of detections per image; None: no limit."""

    def prepare(self, image: Any) -> Any:
        """Prepare an image for detection."""

    def detect(self, prepared: Sequence[Any]) -> Sequence[D_co]:
        """Return the detections of prepared images, in original pixels."""


@dataclass(frozen=True, eq=False)
class FileResult(Generic[D]):
    """Detections of one image at a path or an address, or the error.

    Attributes:
        path: The file, or the address as it was given.
        image: ``(H, W, 3)`` uint8 RGB; of a large image that is detected in tiles, its regions; None if it could not be read.
        detections: Detections in the image's own pixels, or None.
        error: Error from reading the file, or None.
        left_out: The best detection that scores too little to be reported, or None.
        source: The video or stream that ``read`` found instead of an image, or None.
    """

    path: Path | str
    image: ImageArray | ImageRegions | None = None
    detections: D | None = None
    error: Exception | None = None
    left_out: LeftOut | None = None
    source: FrameSource | None = None


def reader_of(predictor: object) -> Callable[[str | Path], ImageArray | ImageRegions]:
    """Return the reader of image files for a predictor: one that detects on tiles does not need all pixels of a large image at once."""
    return open_large if getattr(predictor, "reads_regions", False) else read_image


def read_path(path: str | Path, read: Callable[[str | Path], ImageArray | ImageRegions] = read_image) -> ImageArray | ImageRegions:
    """Read an image file with ``read``, or the image at an ``http`` or ``https`` address.

    Raises:
        OSError, ValueError: As :func:`detkit.data.media.images.read_image`, or if the address cannot be reached.
    """
    if not isinstance(path, str) or not is_address(path):
        return read(path)
    from detkit.data.live.open import read_image_address

    return read_image_address(path)


def detect_files(
    predictor: PredictorOf[D],
    paths: Iterable[str | Path],
    *,
    threads: int = 2,
    read: Callable[[str | Path], ImageArray | ImageRegions | FrameSource] | None = None,
) -> Iterator[FileResult[D]]:
    """Yield the result of each image, in order; one that cannot be read yields its error and does not stop.

    Args:
        predictor: The detector.
        paths: Image files, and ``http`` or ``https`` addresses of images.
        threads: Number of threads that read ahead.
        read: Reads an image; None: :func:`read_path`, in parts where the predictor can use them. What it returns instead, such as the
            stream at an address, is passed on in the results.
    """
    read = read or partial(read_path, read=reader_of(predictor))
    contents: Iterator[list[tuple[str | Path, Any]]] = windows(paths, read, predictor.batch_size, threads)
    for window in contents:
        readable = [(index, content) for index, (_, content) in enumerate(window) if not _is_other(content)]
        detections = predictor.detect([predictor.prepare(pixels) for _, pixels in readable])
        left_out = getattr(predictor, "left_out", None) or (None,) * len(detections)
        rows = dict(zip((index for index, _ in readable), zip(detections, left_out, strict=True), strict=True))
        for index, (given, content) in enumerate(window):
            path = given if isinstance(given, str) and is_address(given) else Path(given)
            if isinstance(content, Exception):
                yield FileResult(path, error=content)
            elif index in rows:
                yield FileResult(path, content, rows[index][0], left_out=rows[index][1])
            elif isinstance(content, ImageRegions):
                yield _in_parts(predictor, path, content)
                content.release()
            else:
                yield FileResult(path, source=content)


def _is_other(content: Any) -> bool:
    """Return whether what was read is not all pixels of an image: an error, a source of frames, or an image that is read in parts."""
    return isinstance(content, Exception | ImageRegions) or hasattr(content, "frames")


def _in_parts(predictor: PredictorOf[D], path: Path | str, image: ImageRegions) -> FileResult[D]:
    """Detect on an image that is read while it is detected, and so can fail then."""
    try:
        (detections,) = predictor.detect([predictor.prepare(image)])
    except (ValueError, OSError, MemoryError) as error:
        return FileResult(path, error=error)
    left_out = getattr(predictor, "left_out", None) or (None,)
    return FileResult(path, image, detections, left_out=left_out[0])


def windows(items: Iterable[T], read: Callable[[T], R], batch_size: int, threads: int) -> Iterator[list[tuple[T, R | Exception]]]:
    """Yield windows of items, each with what was read, or the error of reading it; the next window is read ahead.

    A window has several batches, so that images of equal size can be batched together.
    """
    length = 1 if batch_size == 1 else 4 * batch_size
    source = iter(items)
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="reader") as pool:
        queue: deque[tuple[T, Future[R]]] = deque()

        def fill(count: int) -> None:
            queue.extend((item, pool.submit(read, item)) for item in islice(source, count))

        fill(max(2 * length, threads + 1))
        try:
            while queue:
                window = [queue.popleft() for _ in range(min(length, len(queue)))]
                yield [(item, _result(future)) for item, future in window]
                fill(len(window))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _result(future: Future[Any]) -> Any:
    """Return what was read, or the error of reading it."""
    try:
        return future.result()
    except (ValueError, OSError, MemoryError) as error:
        return error

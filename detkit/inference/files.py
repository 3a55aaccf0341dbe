"""Detection on image files, which background threads read ahead; runs without PyTorch if the predictor does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from detkit.arrays import ImageArray
from detkit.data.media.images import read_image
from detkit.inference.min_scores import LeftOut

T = TypeVar("T")
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
    """Detections of one file, or the error.

    Attributes:
        path: The file.
        image: ``(H, W, 3)`` uint8 RGB, or None if the file could not be read.
        detections: Detections in the image's own pixels, or None.
        error: Error from reading the file, or None.
        left_out: The best detection that scores too little to be reported, or None.
    """

    path: Path
    image: ImageArray | None = None
    detections: D | None = None
    error: Exception | None = None
    left_out: LeftOut | None = None


def detect_files(predictor: PredictorOf[D], paths: Iterable[str | Path], *, threads: int = 2) -> Iterator[FileResult[D]]:
    """Yield the result of each image file, in order; an unreadable file yields its error and does not stop."""
    for window in windows(paths, read_image, predictor.batch_size, threads):
        readable = [(index, pixels) for index, (_, pixels) in enumerate(window) if not isinstance(pixels, Exception)]
        detections = predictor.detect([predictor.prepare(pixels) for _, pixels in readable])
        left_out = getattr(predictor, "left_out", None) or (None,) * len(detections)
        rows = dict(zip((index for index, _ in readable), zip(detections, left_out, strict=True), strict=True))
        for index, (path, pixels) in enumerate(window):
            if isinstance(pixels, Exception):
                yield FileResult(Path(path), error=pixels)
            else:
                yield FileResult(Path(path), pixels, rows[index][0], left_out=rows[index][1])


def windows(
    items: Iterable[T], read: Callable[[T], ImageArray], batch_size: int, threads: int
) -> Iterator[list[tuple[T, ImageArray | Exception]]]:
    """Yield windows of items, each with its image or the error of reading it; the next window is read ahead.

    A window has several batches, so that images of equal size can be batched together.
    """
    length = 1 if batch_size == 1 else 4 * batch_size
    source = iter(items)
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="reader") as pool:
        queue: deque[tuple[T, Future[ImageArray]]] = deque()

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


def _result(future: Future[ImageArray]) -> ImageArray | Exception:
    try:
        return future.result()
    except (ValueError, OSError, MemoryError) as error:
        return error

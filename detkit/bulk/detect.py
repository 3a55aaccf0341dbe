"""Detection on the images of one shard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detkit.bulk.listing import Listing, row_name
from detkit.bulk.rows import ImageRow
from detkit.bulk.shard_info import ShardInfo
from detkit.bulk.shard_writer import ShardWriter
from detkit.inference.files import FileResult, PredictorOf, detect_files
from detkit.printable import printable_message
from detkit.structures.detection import DetectionMethods


@dataclass(frozen=True, kw_only=True)
class ShardResult:
    """Numbers of a complete shard.

    Attributes:
        path: Its file.
        images: Number of images.
        resumed: Those whose rows were there before.
        failed: Those that could not be read; their rows have an error.
    """

    path: Path
    images: int
    resumed: int
    failed: int


def detect_shard(
    predictor: PredictorOf[Any],
    listing: Listing,
    folder: str | Path,
    info: ShardInfo,
    *,
    progress: Callable[[int, int], None] | None = None,
    **parts: float,
) -> ShardResult:
    """Detect on the images of a shard, except those that were finished before, and write its file.

    The file, ``shard-I-of-N.parquet``, appears when all rows are there; until then they are in part files, which a killed process leaves
    for the next one. Memory does not grow with the number of images.

    Args:
        predictor: The detector.
        listing: The images, from :func:`detkit.bulk.list_images`.
        folder: Folder of all shards; it is created.
        info: What the file records about the run.
        progress: Called with the number of images whose rows are written and the number of failed ones, at the start and at each part.
        parts: ``part_images`` and ``part_seconds`` of :class:`ShardWriter`.

    Raises:
        ValueError: If the folder has rows of another model, of other settings or of other images.
        FolderInUseError: If another process works on this shard.
    """
    progress = progress or (lambda done, failed: None)
    with ShardWriter(Path(folder), info, **parts) as writer:  # type: ignore[arg-type]
        state = writer.resume(listing.paths)
        resumed = state.done
        progress(state.done, state.failed)
        try:
            for row in image_rows(predictor, listing.paths, resumed):
                if writer.add(row):
                    progress(state.done, state.failed)
        finally:
            writer.flush()  # also what was detected before an interruption
        writer.finish()
        return ShardResult(path=writer.path, images=state.done, resumed=resumed, failed=state.failed)


def image_rows(predictor: PredictorOf[Any], paths: Any, begin: int = 0) -> Iterator[ImageRow]:
    """Yield the row of each image at paths, from an index on, in order; images are read ahead.

    Args:
        predictor: The detector.
        paths: Files and addresses.
        begin: Index of the first one.
    """
    remaining = (paths[index] for index in range(begin, len(paths)))
    for index, result in enumerate(detect_files(predictor, remaining), begin):
        yield image_row(row_name(paths[index]), result)


def image_row(name: str | None, result: FileResult[DetectionMethods]) -> ImageRow:
    """Return the row of a result."""
    if result.image is None or result.detections is None:
        return failed_row(name, result.error)
    return ImageRow(name, (result.image.shape[0], result.image.shape[1]), result.detections)


def failed_row(name: str | None, error: Exception | None) -> ImageRow:
    """Return the row of an image that could not be read."""
    message = "not readable" if error is None else printable_message(error)
    return ImageRow(name, error=message.encode("utf-8", "backslashreplace").decode("utf-8"))

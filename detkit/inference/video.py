"""Detection on the frames of a video, which a background thread reads ahead."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

from detkit.data.media.video import Frame, Video
from detkit.inference.files import PredictorOf

D = TypeVar("D")


def detect_video(predictor: PredictorOf[D], video: Video | str | Path, *, every: int = 1) -> Iterator[tuple[Frame, D]]:
    """Yield every ``every``-th frame of a video with its detections, in the frame's own pixels.

    Frames are independent: objects are not tracked from one frame to the next.

    Args:
        predictor: A :class:`Predictor`, or an :class:`ImagePyramid` of one.
        video: A file, or a :class:`detkit.data.media.video.Video`.
        every: Frame step: 1 for all frames, 2 for every second frame.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the video cannot be decoded.
    """
    source = video if isinstance(video, Video) else Video(video)
    for batch in _batches_ahead(source.frames(every), predictor.batch_size):
        yield from zip(batch, predictor.detect([predictor.prepare(frame.pixels) for frame in batch]), strict=True)


def _batches_ahead(frames: Iterator[Frame], size: int) -> Iterator[list[Frame]]:
    """Yield batches of frames and read the next one ahead; an error is raised after the frames read before it."""

    def read() -> tuple[list[Frame], Exception | None]:
        batch: list[Frame] = []
        try:
            for frame in islice(frames, size):
                batch.append(frame)
        except (OSError, ValueError) as error:
            return batch, error
        return batch, None

    with ThreadPoolExecutor(1, thread_name_prefix="reader") as pool:
        batch, error = read()
        while batch and error is None:
            next_batch = pool.submit(read)
            yield batch
            batch, error = next_batch.result()
        if batch:
            yield batch
    if error is not None:
        raise error

"""A predictor over the frames of a video, which a background thread reads while it works."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from detkit.data.video import Frame, Video
from detkit.inference.loop import Finder
from detkit.structures import Detections


def detect_video(predictor: Finder, video: Video | str | Path, *, every: int = 1) -> Iterator[tuple[Frame, Detections]]:
    """Each ``every``-th frame of a video with its detections, in the frame's own pixels, one after another.

    Each frame is looked at by itself: nothing is followed from one to the next.

    Args:
        predictor: A :class:`Predictor`, or an :class:`ImagePyramid` of one.
        video: A file, or a :class:`detkit.data.video.Video`.
        every: 1 looks at all frames, 2 at every other one.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be decoded.
    """
    source = video if isinstance(video, Video) else Video(video)
    for batch in _batches_ahead(source.frames(every), predictor.batch_size):
        yield from zip(batch, predictor.detect([predictor.prepare(frame.pixels) for frame in batch]), strict=True)


def _batches_ahead(frames: Iterator[Frame], size: int) -> Iterator[list[Frame]]:
    """Frames in batches; the next is read meanwhile, and an error is raised after what was read before it."""

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
            ahead = pool.submit(read)
            yield batch
            batch, error = ahead.result()
        if batch:
            yield batch
    if error is not None:
        raise error

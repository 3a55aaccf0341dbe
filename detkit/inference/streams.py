"""Detection on the frames of videos, cameras and streams, several at once; a thread for each source reads ahead."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from detkit.data.media.source import Frame, FrameSource
from detkit.inference.files import PredictorOf
from detkit.inference.frame_readers import FrameReader, FrameReaders
from detkit.inference.min_scores import LeftOut

D = TypeVar("D")

MAX_LATENCY = 0.5
"""Seconds for which a frame of a live source waits for the detector, at most, before a newer one takes its place."""


@dataclass(frozen=True, eq=False)
class FrameResult(Generic[D]):
    """Detections of one frame, or the error that ended its source.

    Attributes:
        source: The source.
        frame: The frame; None for an error.
        detections: Detections in the frame's own pixels, or None.
        error: The error, or None.
        left_out: The best detection that scores too little to be reported, or None.
        dropped: Number of frames of a live source, so far, for which there was no time.
    """

    source: FrameSource
    frame: Frame | None = None
    detections: D | None = None
    error: Exception | None = None
    left_out: LeftOut | None = None
    dropped: int = 0


def detect_streams(
    predictor: PredictorOf[D], sources: Sequence[FrameSource], *, every: int = 1, max_latency: float = MAX_LATENCY
) -> Generator[FrameResult[D], None, None]:
    """Yield the frames of all sources with their detections; frames of different sources share batches.

    The frames of one source come in order. Frames of different sources take turns. A video file loses no frame. Of a live source, frames
    are dropped that waited for longer than ``max_latency``, except for the newest. A source that fails yields its error, and the others go
    on. Closing the generator ends the threads that read, and the connections of the sources.

    Args:
        predictor: A :class:`Predictor`, or an :class:`ImagePyramid` of one.
        sources: Video files, cameras and streams.
        every: Frame step: 1 for all frames, 2 for every second frame.
        max_latency: Longest time in seconds that a frame of a live source may wait for the detector. 0: only ever the newest frame;
            infinite: every frame, however late, as for the recording of a camera that waits for its reader.

    Raises:
        ValueError: If ``every`` is not positive or ``max_latency`` is negative.
    """
    if every < 1:
        raise ValueError(f"every: expected 1 or more, got {every}")
    if not max_latency >= 0:
        raise ValueError(f"max_latency: expected 0 seconds or more, got {max_latency}")
    readers = FrameReaders(sources, every, predictor.batch_size, max_latency)
    try:
        while batch := readers.batch():
            yield from _detected(predictor, [(reader, item) for reader, item in batch if isinstance(item, Frame)])
            for reader, error in batch:
                if isinstance(error, Exception):
                    yield FrameResult(reader.source, error=error, dropped=reader.dropped)
    finally:
        readers.close()


def _detected(predictor: PredictorOf[D], frames: Sequence[tuple[FrameReader, Frame]]) -> Iterator[FrameResult[D]]:
    if not frames:
        return
    detections = predictor.detect([predictor.prepare(frame.pixels) for _, frame in frames])
    left_out = getattr(predictor, "left_out", None) or (None,) * len(detections)
    for (reader, frame), rows, best in zip(frames, detections, left_out, strict=True):
        yield FrameResult(reader.source, frame, rows, left_out=best, dropped=reader.dropped)

"""Detection on the frames of one video, camera or stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from detkit.data.live.open import open_source
from detkit.data.media.source import Frame, FrameSource
from detkit.data.media.video import Video
from detkit.inference.files import PredictorOf
from detkit.inference.streams import MAX_LATENCY, detect_streams

D = TypeVar("D")


def detect_video(
    predictor: PredictorOf[D], video: FrameSource | str | Path, *, every: int = 1, max_latency: float = MAX_LATENCY
) -> Iterator[tuple[Frame, D]]:
    """Yield every ``every``-th frame of a video with its detections, in the frame's own pixels.

    Frames are independent: objects are not tracked from one frame to the next.

    Args:
        predictor: A :class:`Predictor`, or an :class:`ImagePyramid` of one.
        video: A file, anything that :func:`detkit.open_source` opens, or a source of frames such as that function returns.
        every: Frame step: 1 for all frames, 2 for every second frame.
        max_latency: Longest time in seconds that a frame of a live source may wait for the detector.

    Raises:
        FileNotFoundError: If the file does not exist.
        OSError: If an address cannot be reached, or a connection is lost for too long.
        ValueError: If the video cannot be decoded.
    """
    source = Video(video) if isinstance(video, Path) else open_source(video) if isinstance(video, str) else video
    with closing(detect_streams(predictor, [source], every=every, max_latency=max_latency)) as results:
        for result in results:
            if result.error is not None:
                raise result.error
            if result.frame is not None and result.detections is not None:
                yield result.frame, result.detections

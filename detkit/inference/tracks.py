"""Tracking on the frames of videos, cameras and streams, with scores that suit the detector; runs without PyTorch if the predictor does."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

from detkit.arrays import ImageArray
from detkit.config import apply_overrides
from detkit.data.media.source import Frame, FrameSource
from detkit.inference.files import PredictorOf
from detkit.inference.min_scores import MinScore, MinScores
from detkit.inference.streams import MAX_LATENCY, detect_streams
from detkit.inference.track_scores import TrackScores
from detkit.structures.detection import DetectionArrays, DetectionMethods
from detkit.tracking import ByteTrackConfig, Tracker, Tracks
from detkit.tracking.config import KINDS
from detkit.tracking.external import PREFIX, ExternalTracker

_PUBLISHED_HIGH, _PUBLISHED_LOW = 0.6, 0.1
"""Scores from which ByteTrack, and trackers that build on it, match detections first and second in their published settings."""


class TrackingPredictor(PredictorOf[DetectionMethods], Protocol):
    """Interface of a predictor of which the lowest score can be changed."""

    min_scores: MinScores

    def with_min_score(self, min_score: MinScore) -> Self:
        """Return this predictor, but reporting from another score on."""


class FrameTracker(Protocol):
    """Interface of what gives the detections of the frames of one source ids."""

    def update(self, detections: DetectionArrays, seconds: float | None = None) -> Tracks:
        """Add the detections of the next frame, and return those that are tracked."""


@dataclass(frozen=True, eq=False)
class TrackResult:
    """The tracks of one frame, or the error that ended its source.

    Attributes:
        source: The source.
        frame: The frame; None for an error.
        tracks: The tracked objects, in the frame's own pixels; None for an error.
        error: The error, or None.
        dropped: Number of frames of a live source, so far, for which there was no time.
    """

    source: FrameSource
    frame: Frame | None = None
    tracks: Tracks | None = None
    error: Exception | None = None
    dropped: int = 0


@dataclass(frozen=True, eq=False)
class TrackingSetup:
    """A tracker with scores that suit a detector; :meth:`of` makes one.

    Attributes:
        name: Name of the tracker.
        settings: Its settings, with scores on the common scale of all classes.
        scores: The scores of the classes; None if the predictor reports every score.
        lowest: Lowest score that the tracker uses, on the common scale.
        make: Makes a tracker, which is given scores on the common scale.
    """

    name: str
    settings: Mapping[str, Any]
    scores: TrackScores | None
    lowest: float
    make: Callable[[], FrameTracker]

    @classmethod
    def of(cls, min_scores: MinScores, tracker: str = "bytetrack", overrides: Sequence[str] = (), **settings: Any) -> TrackingSetup:
        """Derive the scores of a tracker from the lowest scores that a predictor reports.

        Detections with such a score continue tracks, and from .1 above it they start one. ByteTrack also uses detections from half of it
        on, to continue tracks that no better one continues. A predictor that reports every score says nothing about the scores of good
        detections, and the tracker's own scores are used. For a tracker of another package, scores are scaled so that the lowest ones
        become .6, which is where the published scores of such trackers begin.

        Args:
            min_scores: Those of the predictor.
            tracker: ``bytetrack``, ``sort``, or a tracker of the package trackers, such as ``trackers:botsort``.
            overrides: Further settings, ``key=value``.
            settings: Settings of the tracker that differ.

        Raises:
            ImportError: If the package is not installed.
            ValueError: If there is no such tracker, or a setting is invalid.
        """
        scores = TrackScores.of(min_scores)
        if tracker.startswith(PREFIX):
            settings |= dict(map(_setting, overrides))
            ExternalTracker(tracker, **settings)
            common = None if scores is None else replace(scores, high=_PUBLISHED_HIGH)
            return cls(tracker, settings, common, _PUBLISHED_LOW, lambda: ExternalTracker(tracker, **settings))
        derived: dict[str, float] = {}
        if scores is not None and tracker in KINDS:
            more = {"high_score": scores.high, "low_score": scores.low} if tracker == "bytetrack" else {}
            derived = {"min_new_score": scores.new, **more}
        config = apply_overrides(Tracker(tracker, **{**derived, **settings}).config, overrides)
        lowest = 0.0 if scores is None else min(scores.high, config.min_new_score)
        lowest = config.low_score if isinstance(config, ByteTrackConfig) else lowest
        return cls(tracker, config.model_dump(mode="json", exclude={"kind"}), scores, lowest, lambda: Tracker(config))

    def predictor(self, predictor: Any) -> Any:
        """Return a predictor that reports all detections that the tracker uses."""
        return predictor if self.scores is None else predictor.with_min_score(self.scores.lowest(self.lowest))

    def build(self) -> FrameTracker:
        """Return a new tracker, which is given scores of the detector."""
        return ScaledTracker(self.make(), self.scores, self.lowest)


def _setting(text: str) -> tuple[str, Any]:
    """Return the name and the value of ``key=value``: a Python literal, or text."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ValueError(f"{text!r}: expected key=value, such as lost_track_buffer=60")
    try:
        return key.strip(), ast.literal_eval(value.strip())
    except (ValueError, SyntaxError):
        return key.strip(), value.strip()


class ScaledTracker:
    """A tracker that is given scores on the common scale of all classes, and returns those of the detector.

    Args:
        tracker: The tracker.
        scores: The scores of the classes; None: nothing is scaled.
        lowest: Lowest score on the common scale of detections that are used.
    """

    def __init__(self, tracker: FrameTracker, scores: TrackScores | None, lowest: float) -> None:
        self._update, self._scores, self._lowest = with_image(tracker), scores, lowest

    def update(self, detections: DetectionMethods, seconds: float | None = None, image: ImageArray | None = None) -> Tracks:
        """See :meth:`detkit.tracking.Tracker.update`; rows are those of the detections given here."""
        rows = detections.numpy()
        if self._scores is None:
            return self._update(rows, seconds, image)
        common = self._scores.common(rows)
        used = (common.scores >= self._lowest).nonzero()[0]
        tracks = self._update(common[used], seconds, image)
        found = tracks.detections
        return replace(tracks, detections=found.replace(scores=self._scores.own(found.scores, found.labels)), rows=used[tracks.rows])


def with_image(tracker: FrameTracker) -> Callable[[DetectionArrays, float | None, ImageArray | None], Tracks]:
    """Return the ``update`` of a tracker, to be called with the frame, which a tracker without an argument ``image`` does not get."""
    update: Any = tracker.update
    if "image" in inspect.signature(update).parameters:
        return lambda detections, seconds, image: update(detections, seconds, image=image)
    return lambda detections, seconds, image: update(detections, seconds)


def track_streams(
    predictor: TrackingPredictor,
    sources: Sequence[FrameSource],
    tracker: str | Callable[[], FrameTracker] = "bytetrack",
    *,
    every: int = 1,
    max_latency: float = MAX_LATENCY,
    **settings: Any,
) -> Generator[TrackResult, None, None]:
    """Yield the frames of all sources with their tracks; each source has a tracker of its own, so that ids begin with 1 in each.

    Args:
        predictor: A :class:`Predictor`, or an :class:`ImagePyramid` of one. The scores of a tracker given by name follow from the
            lowest score that it reports, see :meth:`TrackingSetup.of`; weaker detections are used where they continue tracks.
        sources: Video files, cameras and streams.
        tracker: ``bytetrack``, ``sort`` or a name such as ``trackers:botsort``; or a function that makes a tracker for a source.
        every: Frame step: 1 for all frames, 2 for every second frame.
        max_latency: Longest time in seconds that a frame of a live source may wait for the detector.
        settings: Settings of a tracker given by name.

    Raises:
        ValueError: If there is no such tracker, or a setting is invalid.
    """
    if isinstance(tracker, str):
        setup = TrackingSetup.of(predictor.min_scores, tracker, (), **settings)
        predictor, build = setup.predictor(predictor), setup.build
    elif settings:
        raise ValueError(f"{', '.join(settings)}: settings belong to a tracker given by name; give them to your own tracker instead")
    else:
        build = tracker
    updates = {id(source): with_image(build()) for source in sources}
    with closing(detect_streams(predictor, sources, every=every, max_latency=max_latency)) as results:
        for result in results:
            tracks = None
            if result.frame is not None and result.detections is not None:
                tracks = updates[id(result.source)](result.detections.numpy(), result.frame.seconds, result.frame.pixels)
            yield TrackResult(result.source, result.frame, tracks, result.error, result.dropped)


def track_video(
    predictor: TrackingPredictor,
    video: FrameSource | str | Path,
    tracker: str | FrameTracker = "bytetrack",
    *,
    every: int = 1,
    max_latency: float = MAX_LATENCY,
    **settings: Any,
) -> Iterator[tuple[Frame, Tracks]]:
    """Yield every ``every``-th frame of a video with its tracks, in the frame's own pixels.

    Args:
        predictor: As for :func:`track_streams`.
        video: A file, or a source of frames such as :class:`detkit.data.media.video.Video`.
        tracker: ``bytetrack``, ``sort`` or a name such as ``trackers:botsort``; or a tracker, which is used as it is and gets what
            the predictor reports.
        every: Frame step.
        max_latency: Longest time in seconds that a frame of a live source may wait for the detector.
        settings: Settings of a tracker given by name, such as ``max_lost_seconds=2``.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the video cannot be decoded, there is no such tracker, or a setting is invalid.
    """
    from detkit.data.media.video import Video

    source = Video(video) if isinstance(video, (str, Path)) else video
    made = tracker if isinstance(tracker, str) else lambda: tracker
    options: dict[str, Any] = {"every": every, "max_latency": max_latency, **settings}
    with closing(track_streams(predictor, [source], made, **options)) as results:
        for result in results:
            if result.error is not None:
                raise result.error
            if result.frame is not None and result.tracks is not None:
                yield result.frame, result.tracks

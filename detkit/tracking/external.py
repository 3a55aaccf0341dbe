"""Trackers of the package trackers, or of anyone, behind the interface of ours."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections import Counter
from typing import Any, Protocol

import numpy as np

from detkit.arrays import ImageArray, Integers, to_numpy
from detkit.registry import did_you_mean
from detkit.structures.detection import DetectionArrays
from detkit.tracking.clock import Clock
from detkit.tracking.memory import FORGET_AFTER
from detkit.tracking.observations import DetectionRows, masks_of, observations
from detkit.tracking.tracks import Tracks

PREFIX = "trackers:"
"""Names of trackers of the package trackers begin with it, as in ``trackers:botsort``."""
_ROW = "row"


class SupervisionTracker(Protocol):
    """Interface of a tracker for detections of the package supervision."""

    def update(self, detections: Any) -> Any:
        """Return the detections of a frame with ``tracker_id``: -1 where there is none."""


class ExternalTracker:
    """Gives detections ids by a tracker that works on ``supervision.Detections``.

    The tracker is given the detections of each frame, the time as ``timestamp`` and the image as ``frame`` if its ``update`` has such
    arguments. Detections with an id of 0 or more are returned, with this id and 1. The class of a track is that with the largest sum of
    scores.

    Args:
        tracker: A name such as ``trackers:botsort``, see :func:`external_names`, or an object with
            ``update(detections) -> detections with tracker_id``.
        frame_rate: Frames per second; without time stamps, every update is one frame.
        settings: Arguments of a tracker given by name, such as ``lost_track_buffer=60``.

    Raises:
        ImportError: If the package is not installed.
        ValueError: If there is no such tracker, or it has no such argument.
    """

    def __init__(self, tracker: SupervisionTracker | str, *, frame_rate: float = 30.0, **settings: Any) -> None:
        self._supervision = _package("supervision")
        if settings and not isinstance(tracker, str):
            raise ValueError(f"ExternalTracker: {', '.join(settings)}: settings belong to a tracker given by name")
        self._tracker: Any = tracker
        if isinstance(tracker, str):
            self._tracker = _made(tracker.removeprefix(PREFIX), {"frame_rate": frame_rate, **settings})
        arguments = inspect.signature(self._tracker.update).parameters
        self._has_time, self._has_frame = "timestamp" in arguments, "frame" in arguments
        self._clock, self._votes = Clock("ExternalTracker.update", frame_rate), _Votes()

    def reset(self) -> None:
        """Forget all tracks, if the tracker can."""
        self._tracker.reset()
        self._clock.reset()
        self._votes = _Votes()

    def update(self, detections: DetectionRows, seconds: float | None = None, image: ImageArray | None = None) -> Tracks:
        """Add the detections of the next frame, and return those that belong to a track.

        Args:
            detections: The detections of the frame; none of them is fine.
            seconds: Time of the frame; None: one frame after the previous one.
            image: The frame, ``(H, W, 3)`` RGB, for a tracker that compensates the motion of the camera.

        Raises:
            ValueError: As for :meth:`Tracker.update`.
        """
        observed = observations(detections)
        self._clock.frames_to(seconds)
        given = self._supervision.Detections(
            xyxy=observed.boxes,
            confidence=observed.scores,
            class_id=observed.labels.astype(int),
            data={_ROW: np.arange(len(observed.boxes))},
        )
        more: dict[str, Any] = {"timestamp": seconds} if self._has_time and seconds is not None else {}
        if self._has_frame and image is not None:
            more["frame"] = np.ascontiguousarray(image[..., ::-1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of duplicate times and unused frames, which are fine
            result = self._tracker.update(given, **more)
        return self._tracks(result, detections, seconds)

    def _tracks(self, result: Any, detections: DetectionRows, seconds: float | None) -> Tracks:
        ids = np.zeros(0, np.int64) if len(result) == 0 or result.tracker_id is None else np.asarray(result.tracker_id, np.int64)
        rows = np.asarray(result.data[_ROW], np.int64) if len(ids) else ids
        order = np.argsort(rows, kind="stable")
        order = order[ids[order] >= 0]
        ids, rows = ids[order] + 1, rows[order]
        boxes, scores, labels = (to_numpy(values)[rows] for values in (detections.boxes, detections.scores, detections.labels))
        voted = self._votes.add(ids, scores, labels)
        names, masks = detections.class_names, masks_of(detections, rows)
        found = DetectionArrays(boxes.astype(np.float32).reshape(-1, 4), scores.astype(np.float32), voted, names, masks=masks)
        return Tracks(found, ids, rows, seconds)


class _Votes:
    """The sums of the scores of the classes of each track."""

    def __init__(self) -> None:
        self._sums: dict[int, Counter[int]] = {}
        self._seen: dict[int, int] = {}
        self._updates = 0

    def add(self, ids: Integers, scores: Any, labels: Any) -> Integers:
        """Add a detection of each track, and return the classes that lead; of equals the first that occurred."""
        self._updates += 1
        for track, score, label in zip(ids.tolist(), scores.tolist(), labels.tolist(), strict=True):
            self._sums.setdefault(track, Counter())[label] += score
            self._seen[track] = self._updates
        if self._updates % FORGET_AFTER == 0:
            self._seen = {track: seen for track, seen in self._seen.items() if self._updates - seen < FORGET_AFTER}
            self._sums = {track: self._sums[track] for track in self._seen}
        return np.array([self._sums[track].most_common(1)[0][0] for track in ids.tolist()], np.int64)


def external_names() -> tuple[str, ...]:
    """Return the names of the trackers of the package trackers, such as ``trackers:botsort``.

    Raises:
        ImportError: If the package is not installed.
    """
    return tuple(f"{PREFIX}{name}" for name in sorted(_classes()))


def _classes() -> dict[str, Any]:
    kinds = [(getattr(kind, "tracker_id", None), kind) for kind in vars(_package("trackers")).values() if isinstance(kind, type)]
    return {name: kind for name, kind in kinds if isinstance(name, str)}


def _made(name: str, settings: dict[str, Any]) -> Any:
    classes = _classes()
    if name not in classes:
        raise ValueError(f"unknown tracker {PREFIX + name!r}: {did_you_mean(PREFIX + name, external_names())}")
    arguments = inspect.signature(classes[name]).parameters
    for key in settings:
        if key not in arguments:
            raise ValueError(f"tracker {PREFIX + name!r} has no setting {key!r}: {did_you_mean(key, tuple(arguments))}")
    return classes[name](**settings)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(f"trackers of other packages need the package {name}, which is not installed: pip install trackers") from None

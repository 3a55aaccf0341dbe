"""Tracks of the frames of a source, and summaries of each track."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from detkit.about import __version__
from detkit.cli.report import LONGEST_CELL
from detkit.printable import printable

if TYPE_CHECKING:
    from detkit.arrays import Size
    from detkit.data.media.source import Frame
    from detkit.tracking import Tracks
    from detkit.tracking.counting import CountEvent, Counting

ClassNames = Sequence[str | None]


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """The tracks of one frame.

    Attributes:
        index: Index of the frame in its source.
        seconds: Its time.
        tracks: The tracked objects, in pixels of the frame.
        size: ``(height, width)`` of the frame.
    """

    index: int
    seconds: float
    tracks: Tracks
    size: Size | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the frame ready for JSON."""
        return {"frame": self.index, "seconds": round(self.seconds, 3), **self.tracks.to_dict(self.size)}


@dataclass
class TrackSummary:
    """One track over all frames.

    Attributes:
        track: Its id.
        label: Its class, by votes over all of its detections so far.
        first: The first frame in which it is detected, with its id.
        last: The last one.
        frames: Number of frames in which it is detected.
        score_sum: Sum of its scores.
    """

    track: int
    label: int
    first: tuple[int, float]
    last: tuple[int, float]
    frames: int = 0
    score_sum: float = 0.0

    @property
    def seconds(self) -> float:
        """Time from its first to its last frame."""
        return self.last[1] - self.first[1]

    def to_dict(self, class_names: ClassNames) -> dict[str, Any]:
        """Return the track ready for JSON."""
        frames = {"first_frame": self.first[0], "last_frame": self.last[0], "frames": self.frames}
        times = {"first_seconds": self.first[1], "last_seconds": self.last[1], "seconds": self.seconds}
        return {
            "track": self.track,
            "class": class_names[self.label],
            "label": self.label,
            "score": round(self.score_sum / max(self.frames, 1), 7),
            **frames,
            **{name: round(value, 3) for name, value in times.items()},
        }


@dataclass(eq=False)
class SourceTracks:
    """Everything about one source.

    Attributes:
        name: The source.
        live: Whether it is a camera or a stream.
        rate: Its frame rate; None if it states none.
        size: ``(height, width)`` of its first frame; None before it.
        read: Number of frames that were processed.
        frames: Their tracks, if they are kept.
        summaries: The tracks by id.
        counting: Counts over lines and in zones; None without any, and before the first frame.
        events: The crossings, entries and exits, each with its frame.
        dropped: Number of frames for which there was no time.
        lost: Number of frames that could not be decoded.
        seconds: Time that it took.
        stem: Beginning of the names of files that are made from it.
    """

    name: str
    stem: str
    live: bool = False
    rate: float | None = None
    size: tuple[int, int] | None = None
    read: int = 0
    frames: list[TrackedFrame] = field(default_factory=list)
    summaries: dict[int, TrackSummary] = field(default_factory=dict)
    counting: Counting | None = None
    events: list[tuple[int, CountEvent]] = field(default_factory=list)
    dropped: int = 0
    lost: int = 0
    seconds: float = 0.0

    def add(self, frame: Frame, tracks: Tracks, keep: bool) -> TrackedFrame:
        """Count the tracks of the next frame.

        Args:
            frame: The frame.
            tracks: Its tracks.
            keep: Whether they are needed at the end.
        """
        self.size = self.size or (frame.pixels.shape[0], frame.pixels.shape[1])
        self.read += 1
        if tracks.detections.mask_probabilities is not None:
            tracks = replace(tracks, detections=tracks.detections.replace(mask_probabilities=None))  # what is kept needs the masks only
        row, moment = TrackedFrame(frame.index, frame.seconds, tracks, self.size), (frame.index, frame.seconds)
        for track, detection in tracks:
            summary = self.summaries.setdefault(track, TrackSummary(track, detection.label, moment, moment))
            summary.label, summary.last = detection.label, moment
            summary.frames += 1
            summary.score_sum += detection.score
        if self.counting is not None:
            self.events += [(frame.index, event) for event in self.counting.update(tracks)]
        if keep:
            self.frames.append(row)
        return row

    def key(self) -> dict[str, str]:
        """Return the name ready for JSON."""
        return {"source" if self.live else "file": self.name}

    def to_dict(self, class_names: ClassNames, error: str | None) -> dict[str, Any]:
        """Return the source ready for JSON, with the message of its error if it has one."""
        content: dict[str, Any] = self.key()
        if self.size is not None:
            content |= {"width": self.size[1], "height": self.size[0], "frames_per_second": self.rate, "frames_lost": self.lost}
            content |= {"frames_dropped": self.dropped} if self.live else {}
        content |= {} if error is None else {"error": error}
        content["tracks"] = [self.summaries[track].to_dict(class_names) for track in sorted(self.summaries)]
        if self.counting is not None:
            events = [{"frame": index, **event.to_dict()} for index, event in self.events]
            content["counts"] = {**self.counting.to_dict(), "events": events}
        return {**content, "frames": [row.to_dict() for row in self.frames]}


def classes_of(summaries: Sequence[TrackSummary], class_names: ClassNames) -> str:
    """Return the number of tracks of each class: ``2 cat, 1 person``."""
    counts: dict[str | None, int] = {}
    for summary in summaries:
        counts[class_names[summary.label]] = counts.get(class_names[summary.label], 0) + 1
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{number:,} {printable(name, LONGEST_CELL)}" for name, number in ordered)


def as_dict(
    sources: Sequence[SourceTracks], failed: Mapping[str, str], class_names: ClassNames, metadata: Mapping[str, object]
) -> dict[str, Any]:
    """Return everything that was tracked, ready for JSON.

    Args:
        sources: The sources.
        failed: Messages about sources that could not be read completely, by name.
        class_names: Class names by label.
        metadata: Further keys, about the detector and the tracker.
    """
    rows = [source.to_dict(class_names, failed.get(source.name)) for source in sources]
    names = {source.name for source in sources}
    rows += [{"file": name, "error": message} for name, message in failed.items() if name not in names]
    return {"detkit": __version__, **metadata, "class_names": list(class_names), "sources": rows}

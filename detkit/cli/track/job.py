"""One run of ``detkit track``: track on videos, cameras and streams, draw, and keep the results."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

from detkit.cli.drawing_writer import DrawingWriter
from detkit.cli.report import count
from detkit.cli.results.drawn_video import DrawnVideo
from detkit.cli.results.failures import Failures
from detkit.cli.results.partial import PartialFile
from detkit.cli.results.status import FrameStatus
from detkit.cli.results.timer import stopping_after
from detkit.cli.track.marks import Mark, counting
from detkit.cli.track.printing import print_source
from detkit.cli.track.results import SourceTracks

if TYPE_CHECKING:
    from detkit.cli.track.following import FollowTracker
    from detkit.cli.track.options import TrackOptions
    from detkit.data.media.source import FrameSource
    from detkit.drawing.tracks import TrackDrawer
    from detkit.inference.tracks import FrameTracker, TrackResult


class TrackJob:
    """The tracks of one run of the command.

    Args:
        predictor: The detector, which reports all detections that the tracker uses.
        build: Makes a tracker for a source.
        options: Options of the command.
        marks: Lines and zones in which tracks are counted, with their names.
        drawings: Writes the drawn videos; None: draw nothing.

    Attributes:
        sources: What was tracked in each source, by its name.
        failures: What could not be read.
        partial: Keeps the tracks if the command is killed.
        keep: Whether the tracks of all frames are needed at the end.
        followed: Follows the only object; None: all are tracked.
    """

    def __init__(
        self,
        predictor: Any,
        build: Callable[[], FrameTracker],
        options: TrackOptions,
        marks: tuple[tuple[Mark, ...], tuple[Mark, ...]],
        drawings: DrawingWriter | None,
    ) -> None:
        self.predictor, self._build, self._options, self._marks, self.drawings = predictor, build, options, marks, drawings
        self.sources: dict[str, SourceTracks] = {}
        self.failures = Failures()
        self.partial = PartialFile(None)
        self.keep = False
        self.followed: FollowTracker | None = None

    def track(self, sources: Sequence[FrameSource]) -> None:
        """Process files one after another, and then all live sources together."""
        live = [source for source in sources if source.live]
        for group in [*([source] for source in sources if not source.live), *([live] if live else [])]:
            self._group(group)

    def _group(self, sources: Sequence[FrameSource]) -> None:
        """Process the frames of sources together, and print the tracks of each at the end, also after an interruption."""
        from detkit.inference.tracks import track_streams

        for source in sources:
            self.sources[source.name] = SourceTracks(source.name, source.stem, source.live, source.frames_per_second)
        options, start = self._options, time.perf_counter()
        results = track_streams(self.predictor, sources, self._build, every=options.every, max_latency=options.max_latency)
        videos: dict[str, _Drawn] = {}
        try:
            with ExitStack() as stack:
                videos = {source.name: stack.enter_context(_Drawn(self, source)) for source in sources}
                status = stack.enter_context(FrameStatus(sources, options.every))
                stack.enter_context(stopping_after(options.seconds, sources))
                for result in stack.enter_context(closing(results)):
                    self._frame(result, videos[result.source.name])
                    rows = [self.sources[source.name] for source in sources]
                    status.update(count(sum(len(row.summaries) for row in rows), "track"), sum(row.dropped for row in rows))
                    if self.followed is not None and self.followed.given_up:
                        break
        finally:
            for source in sources:
                self._end(source, videos.get(source.name), time.perf_counter() - start)

    def _frame(self, result: TrackResult, drawn: _Drawn) -> None:
        source, frame, tracks = self.sources[result.source.name], result.frame, result.tracks
        source.dropped = result.dropped
        if frame is None or tracks is None:
            self.failures.add(source.name, result.error)
            return
        if source.counting is None and any(self._marks):
            size = (frame.pixels.shape[0], frame.pixels.shape[1])
            source.counting = counting(*self._marks, size, self._options.anchor)
        row = source.add(frame, tracks, self.keep)
        self.partial.write({**source.key(), **row.to_dict()})
        drawn.write(result, source, None if self.followed is None else self.followed.predicted)

    def _end(self, source: FrameSource, drawn: _Drawn | None, seconds: float) -> None:
        tracked, paths = self.sources[source.name], []
        tracked.lost, tracked.seconds = source.lost, seconds
        if drawn is not None and drawn.video is not None:
            paths = drawn.video.paths
            if drawn.video.error is not None:
                self.failures.add(source.name, drawn.video.error)
        if source.lost and source.name not in self.failures.messages:
            self.failures.add_lost_frames(source.name, source.lost, tracked.read)
        print_source(tracked, self.predictor.class_names, paths)

    def drawer(self) -> TrackDrawer:
        """Return what draws the tracks of one source."""
        from detkit.drawing.tracks import TrackDrawer
        from detkit.tracking.geometry import anchor_points

        (x, y), *_ = anchor_points([[0, 0, 1, 1]], self._options.anchor).tolist()  # type: ignore[arg-type]
        return TrackDrawer(self.predictor.class_names, trail_seconds=self._options.trail, anchor=(x, y))


class _Drawn:
    """The drawn video of a source, with its counts as they are at each frame; nothing if nothing is drawn."""

    def __init__(self, job: TrackJob, source: FrameSource) -> None:
        self.video = None if job.drawings is None else DrawnVideo(job.drawings, source, job._options.every)
        self._drawer = None if job.drawings is None else job.drawer()

    def write(self, result: TrackResult, source: SourceTracks, predicted: Any) -> None:
        """Draw the next frame."""
        frame, tracks = result.frame, result.tracks
        if self.video is None or self._drawer is None or frame is None or tracks is None:
            return
        from detkit.drawing.canvas import readable_scale
        from detkit.drawing.tracks import DrawnLine, DrawnZone

        counts = {"lines": [], "zones": []} if source.counting is None else source.counting.to_dict()
        lines = [
            DrawnLine(tuple(row["start"]), tuple(row["end"]), f"{row['name']}  in {row['in']}  out {row['out']}") for row in counts["lines"]
        ]
        zones = [DrawnZone(tuple(map(tuple, row["polygon"])), f"{row['name']}  {row['inside']} inside") for row in counts["zones"]]
        scale = readable_scale((frame.pixels.shape[0], frame.pixels.shape[1]))
        drawn = self._drawer.draw(frame.pixels, tracks, frame.seconds, lines=lines, zones=zones, predicted=predicted, scale=scale)
        self.video.write(drawn, frame.seconds)

    def __enter__(self) -> _Drawn:
        return self

    def __exit__(self, *_: object) -> None:
        if self.video is not None:
            self.video.close()

"""One run of ``detkit detect``: detect on images, videos, cameras and streams, and hand the results on."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from detkit.cli.detect.printing import print_image, print_stream
from detkit.cli.detect.results import ImageResult
from detkit.cli.detect.tally import Stream, Tally, total_detections
from detkit.cli.drawing_writer import DrawingWriter
from detkit.cli.report import count
from detkit.cli.results.drawn_video import DrawnVideo
from detkit.cli.results.failures import Failures
from detkit.cli.results.status import FrameStatus

if TYPE_CHECKING:
    from detkit.cli.detect.detector import FileDetector
    from detkit.data.media.source import FrameSource
    from detkit.inference import FileResult
    from detkit.inference.streams import FrameResult
    from detkit.structures import DetectionMethods


class Sink(Protocol):
    """Takes the results of images and frames, one after the other."""

    def add(self, result: ImageResult, pixels: Any) -> None:
        """Take the result of an image, ``(H, W, 3)`` uint8 RGB."""


class DetectJob:
    """The detections of one run of the command.

    Args:
        predictor: The detector, or an image pyramid of it; its detections are tensors or arrays.
        every: Process every N-th frame of a video.
        drawings: Writes the drawn images; None: draw nothing.
        sinks: Get each result as soon as it is computed.

    Attributes:
        results: The results of all images and frames.
        failures: What could not be read.
        tally: Numbers of images, frames and detections.
        streams: The videos, cameras and streams, by name.
    """

    def __init__(self, predictor: FileDetector, every: int, drawings: DrawingWriter | None, sinks: Sequence[Sink] = ()) -> None:
        self.predictor = predictor
        self.every = every
        self.drawings = drawings
        self.sinks = sinks
        self.results: list[ImageResult] = []
        self.failures = Failures()
        self.tally = Tally(predictor.class_names)
        self.streams: dict[str, Stream] = {}

    def detect(self, files: Iterable[Path]) -> None:
        """Process the files and print the detections of each."""
        from detkit.data.media.extensions import is_video

        for videos, group in itertools.groupby(files, key=is_video):
            if videos:
                for path in group:
                    self._video(path)
            else:
                self._images(list(group))

    def _images(self, files: list[Path]) -> None:
        from detkit.inference import detect_files

        last = time.perf_counter()
        for file_result in detect_files(self.predictor, files):
            self._image(file_result, time.perf_counter() - last)
            last = time.perf_counter()

    def _image(self, file_result: FileResult[DetectionMethods], seconds: float) -> None:
        image, detections = file_result.image, file_result.detections
        if image is None or detections is None:
            self.failures.add(str(file_result.path), file_result.error)
            return
        result = ImageResult(str(file_result.path), (image.shape[0], image.shape[1]), detections)
        self._keep(result, image)
        drawing = None if self.drawings is None else self.drawings.write(result.stem, self._draw(image, detections))
        print_image(result, self.predictor.class_names, seconds, drawing, file_result.left_out)

    def _video(self, path: Path) -> None:
        from detkit.data.media.video import Video

        try:
            source = Video(path)
        except (OSError, ValueError) as error:
            self.streams[str(path)] = Stream(str(path), Tally(self.predictor.class_names))
            self.failures.add(str(path), error)
        else:
            self._frames([source])

    def _frames(self, sources: Sequence[FrameSource]) -> None:
        """Process the frames of sources together, and print a line about each at its end."""
        from detkit.inference.streams import detect_streams

        for source in sources:
            self.streams[source.name] = Stream(source.name, Tally(self.predictor.class_names), source.live)
        streams = [self.streams[source.name] for source in sources]
        with ExitStack() as stack:
            videos = self._drawn_videos(sources, stack)
            status = stack.enter_context(FrameStatus(sources, self.every))
            for result in stack.enter_context(closing(detect_streams(self.predictor, sources, every=self.every))):
                self._frame(result, videos.get(result.source.name))
                status.update(count(total_detections(streams), "detection"), sum(row.dropped for row in streams))
        for source in sources:
            self._end(source, videos.get(source.name))

    def _drawn_videos(self, sources: Sequence[FrameSource], stack: ExitStack) -> dict[str, DrawnVideo]:
        if self.drawings is None:
            return {}
        return {source.name: stack.enter_context(DrawnVideo(self.drawings, source, self.every)) for source in sources}

    def _frame(self, frame_result: FrameResult[DetectionMethods], video: DrawnVideo | None) -> None:
        source, frame, detections = frame_result.source, frame_result.frame, frame_result.detections
        stream = self.streams[source.name]
        stream.dropped = frame_result.dropped
        if frame is None or detections is None:
            self.failures.add(source.name, frame_result.error)
            return
        size = (frame.pixels.shape[0], frame.pixels.shape[1])
        result = ImageResult(source.name, size, detections, frame.index, frame.seconds)
        stream.add(result)
        self._keep(result, frame.pixels)
        if video is not None:
            video.write(self._draw(frame.pixels, detections), frame.seconds)

    def _end(self, source: FrameSource, video: DrawnVideo | None) -> None:
        stream = self.streams[source.name]
        stream.end(source.lost)
        if video is not None and video.error is not None:
            self.failures.add(source.name, video.error)
        if source.lost and source.name not in self.failures.messages:
            self.failures.add_lost_frames(source.name, source.lost, stream.tally.frames)
        print_stream(stream, [] if video is None else video.paths)

    def _keep(self, result: ImageResult, pixels: Any) -> None:
        self.results.append(result)
        self.tally.add(result)
        for sink in self.sinks:
            sink.add(result, pixels)

    def _draw(self, image: Any, detections: DetectionMethods) -> Any:
        from detkit.drawing import draw_detections, readable_scale

        scale = readable_scale((image.shape[0], image.shape[1]))
        return draw_detections(image, detections, self.predictor.class_names, scale=scale)

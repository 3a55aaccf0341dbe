"""One run of ``detkit detect``: detect on images, videos, cameras and streams, and hand the results on."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from detkit.cli.detect.blurring import Blurring
from detkit.cli.detect.overview import overview
from detkit.cli.detect.printing import print_image, print_stream
from detkit.cli.detect.results import ImageResult
from detkit.cli.detect.tally import Stream, Tally, total_detections
from detkit.cli.drawing_writer import DrawingWriter
from detkit.cli.report import count
from detkit.cli.results.drawn_video import DrawnVideo
from detkit.cli.results.failures import Failures
from detkit.cli.results.status import FrameStatus
from detkit.cli.results.timer import stopping_after
from detkit.data.live.address import Address, is_address, is_live_word

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


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """How inputs are processed.

    Attributes:
        every: Process every N-th frame of a video, camera or stream.
        max_latency: Seconds for which a frame of a live source may wait.
        seconds: Time after which live sources end; None: when they do.
        only_found: Whether images and frames without detections are left out of all outputs.
        keep: Whether the results are needed at the end; otherwise only their numbers are kept.
        frames: Whether frames can be processed; otherwise addresses must be images.
    """

    every: int = 1
    max_latency: float = 0.5
    seconds: float | None = None
    only_found: bool = False
    keep: bool = True
    frames: bool = True


class DetectJob:
    """The detections of one run of the command.

    Args:
        predictor: The detector, or an image pyramid of it; its detections are tensors or arrays.
        options: How inputs are processed.
        drawings: Writes the drawn images; None: draw nothing.
        sinks: Get each result as soon as it is computed.
        blurring: Blurs objects in the pixels that are written.

    Attributes:
        results: The results of all images and frames that are reported, if they are kept.
        failures: What could not be read.
        tally: Numbers of images, frames and detections.
        streams: The videos, cameras and streams, by name.
        left_out: Numbers of images and frames that were left out because nothing was detected in them.
    """

    def __init__(
        self,
        predictor: FileDetector,
        options: JobOptions,
        drawings: DrawingWriter | None,
        sinks: Sequence[Sink] = (),
        blurring: Blurring | None = None,
    ) -> None:
        self.predictor = predictor
        self.options = options
        self.drawings = drawings
        self.sinks = sinks
        self.blurring = blurring or Blurring(predictor.class_names)
        self.results: list[ImageResult] = []
        self.failures = Failures()
        self.tally = Tally(predictor.class_names)
        self.streams: dict[str, Stream] = {}
        self.left_out = Tally(predictor.class_names)

    def detect(self, inputs: Sequence[Path | str]) -> None:
        """Process files and addresses one after the other, and then all live sources together; print the detections of each."""
        from detkit.data.media.extensions import is_video

        words = {item for item in inputs if isinstance(item, str) and is_live_word(item)}
        others = [item for item in inputs if item not in words]
        live = [_open_live(item) for item in inputs if item in words]
        for videos, group in itertools.groupby(others, key=lambda item: isinstance(item, Path) and is_video(item)):
            if videos:
                for path in group:
                    self._video(Path(path))
            else:
                live += self._images(list(group))
        if live:
            self._frames(live)

    def _images(self, items: Sequence[Path | str]) -> list[FrameSource]:
        """Process images, and the videos among the addresses; return the live sources among them."""
        from detkit.inference import detect_files

        live = []
        last = time.perf_counter()
        for result in detect_files(self.predictor, items, read=partial(_read, read=self._reader())):
            if result.source is None:
                self._image(result, time.perf_counter() - last)
            elif not self.options.frames:
                name = result.source.name
                self.failures.add(name, ValueError(f"--coco: expected images, got the video or stream {name}; use --json or --csv"))
            elif result.source.live:
                live.append(result.source)
            else:
                self._frames([result.source])
            last = time.perf_counter()
        return live

    def _reader(self) -> Callable[[Path | str], Any]:
        """Return what reads an image file; all of its pixels are read at once if objects in them are to be blurred."""
        from detkit.data.media.images import read_image
        from detkit.inference.files import reader_of

        return read_image if self.blurring.is_needed else reader_of(self.predictor)

    def _image(self, file_result: FileResult[DetectionMethods], seconds: float) -> None:
        image, detections = file_result.image, file_result.detections
        name, stem = _name_and_stem(file_result.path)
        if image is None or detections is None:
            self.failures.add(name, file_result.error)
            return
        result = ImageResult(name, (image.shape[0], image.shape[1]), detections, address_stem=stem)
        drawn = self._keep(result, image)
        if drawn is None:
            return
        drawing = None
        if self.drawings is not None:
            pixels, drawn_detections = overview(drawn, detections)
            drawing = self.drawings.write(result.stem, self.blurring.draw(pixels, drawn_detections))
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
        """Process the frames of sources together, and print a line about each at its end, also after an interruption."""
        from detkit.inference.streams import detect_streams

        every, options = self.options.every, self.options
        streams = [Stream(source.name, Tally(self.predictor.class_names), source.live) for source in sources]
        self.streams |= {stream.name: stream for stream in streams}
        videos: dict[str, DrawnVideo] = {}
        try:
            with ExitStack() as stack:
                if self.drawings is not None:
                    videos = {source.name: stack.enter_context(DrawnVideo(self.drawings, source, every)) for source in sources}
                status = stack.enter_context(FrameStatus(sources, every))
                results = detect_streams(self.predictor, sources, every=every, max_latency=options.max_latency)
                stack.enter_context(closing(results))
                stack.enter_context(stopping_after(options.seconds, sources))
                for result in results:
                    self._frame(result, videos.get(result.source.name))
                    status.update(count(total_detections(streams), "detection"), sum(row.dropped for row in streams))
        finally:
            for source in sources:
                self._end(source, videos.get(source.name))

    def _frame(self, frame_result: FrameResult[DetectionMethods], video: DrawnVideo | None) -> None:
        source, frame, detections = frame_result.source, frame_result.frame, frame_result.detections
        stream = self.streams[source.name]
        stream.dropped = frame_result.dropped
        if frame is None or detections is None:
            self.failures.add(source.name, frame_result.error)
            return
        size = (frame.pixels.shape[0], frame.pixels.shape[1])
        stem = None if stream.is_file else source.stem
        result = ImageResult(source.name, size, detections, frame.index, frame.seconds, stem)
        stream.add(result)
        drawn = self._keep(result, frame.pixels)
        if video is not None and drawn is not None:
            video.write(self.blurring.draw(drawn, detections), None if self.options.only_found else frame.seconds)

    def _end(self, source: FrameSource, video: DrawnVideo | None) -> None:
        stream = self.streams[source.name]
        stream.end(source.lost)
        if video is not None and video.error is not None:
            self.failures.add(source.name, video.error)
        if source.lost and source.name not in self.failures.messages:
            advice = "export the video again" if stream.is_file else "check the connection" if stream.live else "download it, and check it"
            self.failures.add_lost_frames(source.name, source.lost, stream.tally.frames, advice)
        print_stream(stream, [] if video is None else video.paths)

    def _keep(self, result: ImageResult, image: Any) -> Any | None:
        """Count a result and hand it on; return the pixels to draw on, or None if the result is left out."""
        self.tally.add(result)
        if self.options.only_found and not len(result.detections):
            self.left_out.add(result)
            return None
        pixels = self.blurring.blur(image, result.detections)
        detections: Any = result.detections
        if getattr(detections, "mask_probabilities", None) is not None:
            detections = detections.replace(mask_probabilities=None)  # outputs need the masks only
        result = replace(result, is_changed=pixels is not image, detections=detections)
        if self.options.keep:
            self.results.append(result)
        for sink in self.sinks:
            sink.add(result, pixels)
        return pixels


def _read(item: Path | str, read: Callable[[Path | str], Any]) -> Any:
    """Read an image file, or open an address."""
    from detkit.data.live.open import open_address

    return open_address(item) if isinstance(item, str) and is_address(item) else read(item)


def _open_live(word: Any) -> FrameSource:
    from detkit.data.live.open import open_source

    return open_source(word)


def _name_and_stem(path: Path | str) -> tuple[str, str | None]:
    """Return the name of an image in results, and of an address the beginning of the names of files."""
    if not isinstance(path, str):
        return str(path), None
    address = Address.parse(path)
    return address.name, address.stem

"""One run of ``detkit detect``: detect, print, draw and write."""

from __future__ import annotations

import itertools
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from detkit.cli.detect.label_writer import LabelWriter
from detkit.cli.detect.partial import PartialFile
from detkit.cli.detect.results import CocoIds, ImageResult, as_coco, as_csv, as_json
from detkit.cli.drawing_writer import DrawingWriter
from detkit.cli.outputs import Outputs, write_output
from detkit.cli.report import LONGEST_CELL, count, duration, memory_line, table, with_bar
from detkit.printable import printable, printable_message

if TYPE_CHECKING:
    from detkit.cli.detect.detector import FileDetector
    from detkit.data.media.video import Video
    from detkit.inference import FileResult
    from detkit.inference.min_scores import LeftOut
    from detkit.structures import DetectionMethods

T = TypeVar("T")

_DEFAULT_RATE = 25.0
"""Frame rate of a drawn video if its source states none."""


class DetectJob:
    """The detections of one run of the command.

    Args:
        predictor: The detector, or an image pyramid of it; its detections are tensors or arrays.
        every: Process every N-th frame of a video.
        drawings: Writes the drawn images; None: draw nothing.
        labels: Writes the detections as a new data set; None: write none.
        partial: Keeps what was detected if the command is killed; None: keep nothing.
    """

    def __init__(
        self,
        predictor: FileDetector,
        every: int,
        drawings: DrawingWriter | None,
        labels: LabelWriter | None,
        *,
        partial: PartialFile | None = None,
    ) -> None:
        self.predictor = predictor
        self.every = every
        self.drawings = drawings
        self.labels = labels
        self.partial = partial
        if labels is not None:
            labels.begin(predictor.class_names, predictor.reported)
        self.results: list[ImageResult] = []
        self.failed: dict[Path, str] = {}
        self.lost_frames: dict[Path, int] = {}
        self.videos: list[Path] = []

    def detect(self, files: list[Path]) -> None:
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
            self._add(file_result, time.perf_counter() - last)
            last = time.perf_counter()

    def _add(self, file_result: FileResult[DetectionMethods], seconds: float) -> None:
        path, image, detections = file_result.path, file_result.image, file_result.detections
        if image is None or detections is None:
            self._fail(path, file_result.error)
            return
        result = ImageResult(path, (image.shape[0], image.shape[1]), detections)
        self._keep(result, image)
        drawing = None if self.drawings is None else self.drawings.write(path, self._draw(image, detections))
        self._print(result, seconds, drawing, file_result.left_out)

    def _video(self, path: Path) -> None:
        """Process a video frame by frame and print one line for all frames."""
        from detkit.data.media.video import Video

        self.videos.append(path)
        start, first = time.perf_counter(), len(self.results)
        drawing = None
        try:
            video = Video(path)
            drawing = self.drawings.video_path(path) if self.drawings is not None else None
            self._frames(video, drawing)
            if video.lost:
                self._lose_frames(video, len(self.results) - first)
        except (OSError, ValueError) as error:
            self._fail(path, error)
        frames = self.results[first:]
        if frames:
            self._print_video(frames, time.perf_counter() - start, drawing)

    def _frames(self, video: Video, drawing: Path | None) -> None:
        from detkit.drawing.video import VideoWriter
        from detkit.inference import detect_video

        rate = (video.frames_per_second or _DEFAULT_RATE) / self.every
        with nullcontext() if drawing is None else VideoWriter(drawing, rate) as writer:
            first: float | None = None
            for frame, detections in self._with_bar(detect_video(self.predictor, video, every=self.every), video):
                first = frame.seconds if first is None else first
                size = (frame.pixels.shape[0], frame.pixels.shape[1])
                self._keep(ImageResult(video.path, size, detections, frame.index, frame.seconds), frame.pixels)
                if writer is not None:
                    writer.write(self._draw(frame.pixels, detections), frame.seconds - first)

    def _with_bar(self, frames: Iterator[T], video: Video) -> Iterable[T]:
        """Yield the frames, with a progress bar on a terminal."""
        total = None if video.length is None else -(-video.length // self.every)
        return with_bar(frames, total, "frame", printable(video.path.name, 40))

    def _keep(self, result: ImageResult, pixels: Any) -> None:
        self.results.append(result)
        if self.partial is not None:
            self.partial.add(result)
        if self.labels is not None:
            self.labels.add(result, pixels)

    def _draw(self, image: Any, detections: DetectionMethods) -> Any:
        from detkit.drawing import draw_detections, readable_scale

        scale = readable_scale((image.shape[0], image.shape[1]))
        return draw_detections(image, detections, self.predictor.class_names, scale=scale)

    def _lose_frames(self, video: Video, read: int) -> None:
        """Report frames that could not be decoded, or that a truncated file lacks."""
        self.lost_frames[video.path] = video.lost
        lost = f"{video.lost} of {count(video.lost + read, 'frame')} are damaged or missing and were skipped"
        self._fail(video.path, ValueError(f"{video.path}: {lost}; export the video again"))

    def _fail(self, path: Path, error: Exception | None) -> None:
        message = printable_message(error) if error is not None else "not readable"
        self.failed[path] = message
        print(f"detkit: {message}", file=sys.stderr, flush=True)

    def _print(self, result: ImageResult, seconds: float, drawing: Path | None, left_out: LeftOut | None) -> None:
        height, width = result.size
        arrow = f" -> {printable(drawing)}" if drawing is not None else ""
        found = f"{count(len(result.detections), 'detection')} in {duration(seconds)}"
        if not len(result.detections) and left_out is not None:
            found = f"no detections at or above {left_out.min_score:.3g}; the best is {_best(left_out)} (in {duration(seconds)})"
        print(f"\n{printable(result.path)} ({width} x {height}): {found}{arrow}")
        names = self.predictor.class_names
        rows = [(names[label], f"{score:.3f}", *(f"{value:.1f}" for value in box)) for label, score, box in result.rows()]
        if rows:
            text = table(rows, ("class", "score", "x1", "y1", "x2", "y2"), {"score", "x1", "y1", "x2", "y2"})
            print("\n".join("  " + line for line in text.splitlines()), flush=True)

    def _print_video(self, frames: list[ImageResult], seconds: float, drawing: Path | None) -> None:
        height, width = frames[0].size
        arrow = f" -> {printable(drawing)}" if drawing is not None else ""
        speed = f"{duration(seconds)}, {len(frames) / seconds:.1f} frames/s{arrow}"
        print(
            f"\n{printable(frames[0].path)} ({width} x {height}, {count(len(frames), 'frame')}): {self._totals(frames)} in {speed}",
            flush=True,
        )

    def _totals(self, results: list[ImageResult]) -> str:
        """Return the total number of detections and those of the most frequent classes."""
        totals = Counter(self.predictor.class_names[label] for result in results for label in result.detections.labels.tolist())
        listed = ", ".join(f"{number} {printable(name, LONGEST_CELL)}" for name, number in totals.most_common(12))
        return f"{count(sum(totals.values()), 'detection')}{': ' + listed if listed else ''}"

    def write_files(self, outputs: Outputs, metadata: Mapping[str, object], ids: CocoIds) -> None:
        """Write the requested files.

        Args:
            outputs: The files that flags name.
            metadata: Further keys of the JSON file.
            ids: The ids of the COCO file.
        """
        names = self.predictor.class_names

        def write_coco(path: str) -> None:
            text, skipped = as_coco(self.results, names, ids)
            write_output(path, text)
            if skipped:
                print(f"{printable(path)}: skipped {count(skipped, 'detection')} of classes that the annotations do not have")

        def write_labels(path: str) -> None:
            if self.labels is not None:
                images, boxes = self.labels.finish()
                summary = f"{count(images, 'image')}, {count(boxes, 'box', 'boxes')} to correct"
                print(f"labels: {summary}; then train on them with: detkit train {printable(path)}")
                if self.labels.renamed:
                    print(f"labels: {count(self.labels.renamed, 'copy', 'copies')} renamed, as label formats cannot hold the names")

        outputs.write("json", lambda path: write_output(path, as_json(self.results, self.failed, names, self.lost_frames, **metadata)))
        outputs.write("csv", lambda path: write_output(path, as_csv(self.results, names)))
        outputs.write("coco", write_coco)
        outputs.write("labels", write_labels)

    def conclude(self, outputs: Outputs, loading: float, detecting: float) -> None:
        """Print totals, times, memory and the written files."""
        frames = sum(result.frame is not None for result in self.results)
        images = len(self.results) - frames
        total = images + frames
        print(f"\n{self._inputs(images, frames)}, {self._totals(self.results)}")
        per_image = f", {duration(detecting / total)} per {'frame' if self.videos else 'image'}" if total > 1 else ""
        print(f"{duration(detecting)}{per_image}, plus {duration(loading)} to load; {memory_line()}")
        best = self.predictor.best_left_out
        if not any(len(result.detections) for result in self.results) and best is not None:
            below = f"below the minimum score of {best.min_score:.3g}"
            print(f"note: the best detection is {_best(best)}, {below}; lower it with --min-score")
        if self.predictor.cut_images:
            limit = f"{count(self.predictor.cut_images, 'image')} reached the limit of {self.predictor.max_detections} detections"
            print(f"note: {limit}, so others with lower scores may be left out; raise it with --max-detections")
        written = outputs.written
        if self.drawings is not None and self.results:
            written.append(f"{self.drawings.folder}/")
        if self.lost_frames:
            print("note: damaged frames that the decoder completes from others are not counted, as OpenCV does not report them")
        if written:
            print(f"written: {', '.join(map(printable, written))}")
        if self.failed:
            given = images + len(self.videos) + sum(path not in self.videos for path in self.failed)
            files = count(given, "file" if self.videos else "image")
            completely = " completely" if self.lost_frames else ""
            print(f"detkit: {len(self.failed)} of {files} could not be read{completely}", file=sys.stderr)

    def _inputs(self, images: int, frames: int) -> str:
        """Return the number of inputs: ``3 images``, ``1 video of 250 frames``, or both."""
        parts = [count(images, "image")] if images or not self.videos else []
        parts += [f"{count(len(self.videos), 'video')} of {count(frames, 'frame')}"] if self.videos else []
        return ", ".join(parts)


def _best(left_out: LeftOut) -> str:
    return f"{printable(left_out.class_name, LONGEST_CELL)} {left_out.score:.3g}"

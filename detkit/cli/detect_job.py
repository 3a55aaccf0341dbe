"""What one call of ``detkit detect`` finds, prints, draws and writes."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from detkit.cli.drawing_writer import DrawingWriter
from detkit.cli.label_writer import LabelWriter
from detkit.cli.outputs import Outputs
from detkit.cli.pyramid import wants_pyramid
from detkit.cli.report import count, duration, memory_line, table
from detkit.cli.results_files import CocoIds, Found, as_coco, as_csv, as_json

if TYPE_CHECKING:
    from detkit.data.video import Video
    from detkit.inference import ImagePyramid, Outcome, Predictor
    from detkit.structures import Detections

T = TypeVar("T")

_USUAL_RATE = 25.0
"""Frames a second of a drawn video whose source does not say."""


class DetectJob:
    """What one call of the command has found so far."""

    def __init__(
        self,
        predictor: Predictor | ImagePyramid,
        args: argparse.Namespace,
        min_score: float,
        drawn: DrawingWriter | None,
        labeled: LabelWriter | None,
    ) -> None:
        self.predictor = predictor
        self.args = args
        self.min_score = min_score
        self.drawn = drawn
        self.labeled = labeled
        self.found: list[Found] = []
        self.failed: dict[Path, str] = {}
        self.videos: list[Path] = []

    def detect(self, files: list[Path]) -> None:
        """Run over the files, one table each."""
        from detkit.data.video import is_video

        for videos, group in itertools.groupby(files, key=is_video):
            if videos:
                for path in group:
                    self._video(path)
            else:
                self._images(list(group))

    def _images(self, files: list[Path]) -> None:
        from detkit.inference import detect_files

        last = time.perf_counter()
        for outcome in detect_files(self.predictor, files):
            self._take(outcome, time.perf_counter() - last)
            last = time.perf_counter()

    def _take(self, outcome: Outcome, seconds: float) -> None:
        if outcome.image is None or outcome.detections is None:
            self._fail(outcome.path, outcome.error)
            return
        size = (outcome.image.shape[0], outcome.image.shape[1])
        found = Found(outcome.path, size, outcome.detections)
        self._keep(found, outcome.image)
        place = None
        if self.drawn is not None:
            place = self.drawn.write(outcome.path, self._draw(outcome.image, outcome.detections))
        self._print(found, seconds, place)

    def _video(self, path: Path) -> None:
        """One video: its frames are kept as they come, and one line tells of all."""
        from detkit.data.video import Video

        self.videos.append(path)
        start, first = time.perf_counter(), len(self.found)
        place = None
        try:
            video = Video(path)
            place = self.drawn.video_of(path) if self.drawn is not None else None
            self._frames(video, place)
        except (OSError, ValueError) as error:
            self._fail(path, error)
        frames = self.found[first:]
        if frames:
            self._print_video(frames, time.perf_counter() - start, place)

    def _frames(self, video: Video, place: Path | None) -> None:
        from detkit.drawing.video import VideoWriter
        from detkit.inference import detect_video

        rate = (video.frames_per_second or _USUAL_RATE) / self.args.every
        with nullcontext() if place is None else VideoWriter(place, rate) as drawn:
            begun: float | None = None
            for frame, detections in self._shown(detect_video(self.predictor, video, every=self.args.every), video):
                begun = frame.seconds if begun is None else begun
                size = (frame.pixels.shape[0], frame.pixels.shape[1])
                self._keep(Found(video.path, size, detections, frame.index, frame.seconds), frame.pixels)
                if drawn is not None:
                    drawn.write(self._draw(frame.pixels, detections), frame.seconds - begun)

    def _shown(self, frames: Iterator[T], video: Video) -> Iterable[T]:
        """The frames, with a bar on a terminal."""
        from tqdm import tqdm

        total = None if video.length is None else -(-video.length // self.args.every)
        return tqdm(frames, desc=video.path.name, total=total, unit="frame", disable=None, leave=False, file=sys.stderr)

    def _keep(self, found: Found, pixels: Any) -> None:
        self.found.append(found)
        if self.labeled is not None:
            self.labeled.add(found, pixels)

    def _draw(self, image: Any, detections: Detections) -> Any:
        from detkit.drawing import draw_detections, readable_scale

        scale = readable_scale((image.shape[0], image.shape[1]))
        return draw_detections(image, detections, self.predictor.class_names, scale=scale)

    def _fail(self, path: Path, error: Exception | None) -> None:
        message = " ".join(str(error).split())
        self.failed[path] = message
        print(f"detkit: {message}", file=sys.stderr, flush=True)

    def _print(self, found: Found, seconds: float, drawn: Path | None) -> None:
        height, width = found.size
        arrow = f" -> {drawn}" if drawn is not None else ""
        print(f"\n{found.path} ({width} x {height}): {count(len(found.detections), 'detection')} in {duration(seconds)}{arrow}")
        names = self.predictor.class_names
        rows = [(names[label], f"{score:.3f}", *(f"{value:.1f}" for value in box)) for label, score, box in found.rows()]
        if rows:
            text = table(rows, ("class", "score", "x1", "y1", "x2", "y2"), {"score", "x1", "y1", "x2", "y2"})
            print("\n".join("  " + line for line in text.splitlines()), flush=True)

    def _print_video(self, frames: list[Found], seconds: float, drawn: Path | None) -> None:
        height, width = frames[0].size
        arrow = f" -> {drawn}" if drawn is not None else ""
        speed = f"{duration(seconds)}, {len(frames) / seconds:.1f} a second{arrow}"
        print(f"\n{frames[0].path} ({width} x {height}, {count(len(frames), 'frame')}): {self._totals(frames)} in {speed}", flush=True)

    def _totals(self, found: list[Found]) -> str:
        """How many detections of which classes."""
        totals = Counter(self.predictor.class_names[label] for one in found for label in one.detections.labels.tolist())
        listed = ", ".join(f"{number} {name}" for name, number in totals.most_common(12))
        return f"{count(sum(totals.values()), 'detection')}{': ' + listed if listed else ''}"

    def write_files(self, outputs: Outputs, weights: str, ids: CocoIds) -> None:
        """Write the files that were asked for."""
        from detkit.checkpoint import write_text

        names = self.predictor.class_names
        about = {"weights": weights, "min_score": self.min_score}
        about |= {"pyramid": str(self.predictor)} if wants_pyramid(self.args) else {}

        def write_coco(path: str) -> None:
            text, left_out = as_coco(self.found, names, ids)
            write_text(path, text)
            if left_out:
                print(f"{count(left_out, 'detection')} left out of {path}: their classes are not in the annotations")

        def write_labels(path: str) -> None:
            if self.labeled is not None:
                images, boxes = self.labeled.write(names, self.predictor.reported)
                told = f"{count(images, 'image')} and {count(boxes, 'box', 'boxes')} to be corrected"
                print(f"labels: {told}; then: detkit train CONFIG data={path}")

        outputs.write("json", lambda path: write_text(path, as_json(self.found, self.failed, names, **about)))
        outputs.write("csv", lambda path: write_text(path, as_csv(self.found, names)))
        outputs.write("coco", write_coco)
        outputs.write("labels", write_labels)

    def conclude(self, outputs: Outputs, loading: float, detecting: float) -> None:
        """Totals, times, memory, and what was written where."""
        frames = sum(one.frame is not None for one in self.found)
        images = len(self.found) - frames + sum(path not in self.videos for path in self.failed)
        looked = images + frames
        print(f"\n{self._inputs(images, frames)}, {self._totals(self.found)}")
        each = f", {duration(detecting / looked)} a {'frame' if self.videos else 'image'}" if looked > 1 else ""
        print(f"{duration(detecting)}{each}, after {duration(loading)} of loading; {memory_line()}")
        places = outputs.written
        if self.drawn is not None and self.found:
            places.append(f"{self.drawn.folder}/")
        if places:
            print(f"written: {', '.join(places)}")
        if self.failed:
            thing = count(images + len(self.videos), "file" if self.videos else "image")
            print(f"detkit: {len(self.failed)} of {thing} could not be read", file=sys.stderr)

    def _inputs(self, images: int, frames: int) -> str:
        """What was looked at: ``3 images``, ``1 video of 250 frames``, or both."""
        parts = [count(images, "image")] if images or not self.videos else []
        parts += [f"{count(len(self.videos), 'video')} of {count(frames, 'frame')}"] if self.videos else []
        return ", ".join(parts)

"""Lines and tables that ``detkit detect`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.detect.results import ClassNames, ImageResult
from detkit.cli.detect.tally import Stream, Tally
from detkit.cli.report import LONGEST_CELL, count, duration, memory_line, table
from detkit.printable import printable

if TYPE_CHECKING:
    from detkit.cli.detect.detector import FileDetector
    from detkit.inference.min_scores import LeftOut


def print_image(
    result: ImageResult, class_names: ClassNames, seconds: float, drawing: Path | None = None, left_out: LeftOut | None = None
) -> None:
    """Print a table of the detections of an image.

    Args:
        result: The detections.
        class_names: Class names by label.
        seconds: Time that the image took.
        drawing: The drawn image, if there is one.
        left_out: The best detection that scores too little to be reported, if there is one.
    """
    height, width = result.size
    found = f"{count(len(result.detections), 'detection')} in {duration(seconds)}"
    if not len(result.detections) and left_out is not None:
        found = f"no detections at or above {left_out.min_score:.3g}; the best is {_best(left_out)} (in {duration(seconds)})"
    print(f"\n{printable(result.source)} ({width} x {height}): {found}{_arrow([] if drawing is None else [drawing])}")
    rows = [(class_names[label], f"{score:.3f}", *(f"{value:.1f}" for value in box)) for label, score, box in result.rows()]
    if rows:
        text = table(rows, ("class", "score", "x1", "y1", "x2", "y2"), {"score", "x1", "y1", "x2", "y2"})
        print("\n".join("  " + line for line in text.splitlines()), flush=True)


def print_stream(stream: Stream, drawings: Sequence[Path] = ()) -> None:
    """Print a line about all frames of a video, camera or stream, if it has any.

    Args:
        stream: Its numbers.
        drawings: The drawn videos.
    """
    if stream.size is None:
        return
    height, width = stream.size
    frames = f"{count(stream.tally.frames, 'frame')}{_missing([stream])}"
    speed = f"{duration(stream.seconds)}, {stream.tally.frames / max(stream.seconds, 1e-9):.1f} frames/s"
    print(f"\n{printable(stream.name)} ({width} x {height}, {frames}): {stream.tally} in {speed}{_arrow(drawings)}", flush=True)


def print_totals(tally: Tally, streams: Sequence[Stream], loading: float, detecting: float) -> None:
    """Print the numbers of inputs and detections, times and memory.

    Args:
        tally: The numbers of all inputs together.
        streams: The videos, cameras and streams.
        loading: Seconds until the detector was loaded.
        detecting: Seconds since then.
    """
    parts = [count(tally.images, "image")] if tally.images or not streams else []
    for kind, rows in (("video", [row for row in streams if not row.live]), ("live source", [row for row in streams if row.live])):
        parts += [f"{count(len(rows), kind)} of {count(sum(row.tally.frames for row in rows), 'frame')}{_missing(rows)}"] if rows else []
    total = tally.images + tally.frames
    print(f"\n{', '.join(parts)}, {tally}")
    per_image = f", {duration(detecting / total)} per {'frame' if streams else 'image'}" if total > 1 else ""
    print(f"{duration(detecting)}{per_image}, plus {duration(loading)} to load; {memory_line()}")


def print_left_out(tally: Tally) -> None:
    """Print how many images and frames without detections were left out, if any."""
    parts = [count(number, thing) for number, thing in ((tally.images, "image"), (tally.frames, "frame")) if number]
    if parts:
        print(f"{' and '.join(parts)} without detections {'is' if tally.images + tally.frames == 1 else 'are'} left out")


def print_notes(predictor: FileDetector, tally: Tally) -> None:
    """Print notes about detections that were left out."""
    best = predictor.best_left_out
    if not tally.detections and best is not None:
        below = f"below the minimum score of {best.min_score:.3g}"
        print(f"note: the best detection is {_best(best)}, {below}; lower it with --min-score")
    if predictor.cut_images:
        limit = f"{count(predictor.cut_images, 'image')} reached the limit of {predictor.max_detections} detections"
        print(f"note: {limit}, so others with lower scores may be left out; raise it with --max-detections")


def _missing(streams: Sequence[Stream]) -> str:
    """Return the numbers of frames that live sources sent and that were not processed: ``, 3 dropped and 1 lost``."""
    dropped, lost = sum(row.dropped for row in streams), sum(row.lost for row in streams)
    parts = [f"{dropped:,} dropped"] * bool(dropped) + [f"{lost:,} lost"] * bool(lost)
    return f" ({' and '.join(parts)})" if parts and streams[0].live else ""


def _arrow(drawings: Sequence[Path]) -> str:
    return f" -> {', '.join(map(printable, drawings))}" if drawings else ""


def _best(left_out: LeftOut) -> str:
    return f"{printable(left_out.class_name, LONGEST_CELL)} {left_out.score:.3g}"

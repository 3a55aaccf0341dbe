"""Metrics of tracks for several choices of the scores from which a tracker uses detections: how ``detkit track`` chooses them.

    python tools/track_scores.py data/coco_sample/instances.json --images data/coco_sample/images

A camera pans over each of some photographs with 3 to 12 large objects; the detector inside the package detects on every frame, and the
labels, moved with the camera, are the true tracks. Objects that are small or mostly outside of the frame are not evaluated.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detkit.arrays import Doubles, Flags
from detkit.checkpoint.atomic import write_json
from detkit.cli.report import table
from detkit.data.media.images import read_image
from detkit.data.sources import SourceConfig, read_source
from detkit.evaluation.tracks import TrackRows, combine, evaluate_sequence
from detkit.inference.light import ArrayPredictor, load_exported
from detkit.structures.detection import DetectionArrays
from detkit.tracking import Tracker
from detkit.tracking.tracks import Tracks
from detkit.weights import embedded_onnx_path

FRAMES, RATE, SHARE = 25, 25, 0.7
"""Frames of a pan, frames per second, and the side of a frame as a fraction of that of the photograph."""
OBJECTS, MIN_AREA, MIN_VISIBLE, MIN_TRUE_AREA = (3, 12), 1500.0, 0.4, 1000.0
EVALUATED, IGNORED = 1, 8
CHOICES: tuple[tuple[str, float | None, float, float | None], ...] = (
    *(("bytetrack", *row) for row in ((0.7, 0.6, 0.1), (0.2, 0.2, None), (0.2, 0.2, 0.066), (0.3, 0.2, 0.1), (0.4, 0.2, 0.066))),
    ("sort", 0.3, 0.2, None),
)
"""Tracker, and the scores from which a detection starts a track, continues it, and continues it where no better one does."""


@dataclass(frozen=True, eq=False)
class Pan:
    """A pan over one photograph.

    Attributes:
        frames: The detections of each frame.
        truth: The labels.
    """

    frames: list[DetectionArrays]
    truth: TrackRows


def pans(predictor: ArrayPredictor, source: SourceConfig, count: int) -> Iterator[Pan]:
    """Yield pans over the first photographs of a data set that have the right number of large objects."""
    records = read_source(source).records
    random = np.random.default_rng(0)
    made = 0
    for record in records:
        boxes, crowd = record.targets.boxes.numpy().astype(np.float64), record.targets.is_crowd.numpy()
        large = ~crowd & (np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) > MIN_AREA)
        if made < count and OBJECTS[0] <= int(large.sum()) <= OBJECTS[1]:
            made += 1
            yield _pan(predictor, read_image(record.path), (boxes, crowd), random)


def _pan(predictor: ArrayPredictor, pixels: Any, labels: tuple[Doubles, Flags], random: np.random.Generator) -> Pan:
    boxes, crowd = labels
    size = np.array(pixels.shape[:2])
    height, width = (int(side) for side in SHARE * size)
    phase = random.uniform(0, 6.28)
    frames, rows = [], []
    for number in range(FRAMES):
        turn = number / (FRAMES - 1)
        x = int((size[1] - width) * (0.5 + 0.5 * np.sin(phase + 4 * turn)))
        y = int((size[0] - height) * (0.5 + 0.5 * np.cos(1.3 * phase + 3 * turn)))
        view = pixels[y : y + height, x : x + width]
        noisy = np.clip(view.astype(int) + random.normal(0, 6, view.shape), 0, 255).astype(np.uint8)
        frames.append(predictor(np.ascontiguousarray(noisy)))
        clipped = np.clip(boxes - [x, y, x, y], 0, [width, height, width, height])
        area, whole = (np.prod(part[:, 2:] - part[:, :2], axis=1) for part in (clipped, boxes))
        ignored = crowd | (area < MIN_VISIBLE * whole) | (whole < MIN_TRUE_AREA)
        for index in np.flatnonzero(area > 0).tolist():
            flags = (0, IGNORED) if ignored[index] else (1, EVALUATED)
            rows.append((number + 1, index + 1, *clipped[index], *flags))
    return Pan(frames, _rows(rows))


def _rows(rows: Sequence[Sequence[float]]) -> TrackRows:
    table_ = np.array(rows, np.float64).reshape(-1, 8)
    return TrackRows(table_[:, 0].astype(int), table_[:, 1].astype(int), table_[:, 2:6], table_[:, 6], table_[:, 7].astype(int))


def judged(made: Sequence[Pan], name: str, new: float | None, high: float, low: float | None) -> dict[str, Any]:
    """Return the metrics of a tracker with these scores on all pans."""
    lowest = high if low is None else low
    byte = {"high_score": high, "low_score": lowest} if name == "bytetrack" else {}
    numbers, count = [], 0
    for pan in made:
        tracker = Tracker(name, frame_rate=RATE, min_new_score=new, **byte)
        found: list[Tracks] = [tracker.update(row[row.scores >= lowest], index / RATE) for index, row in enumerate(pan.frames)]
        rows = [
            (index + 1, track, *map(float, detection.box), detection.score, EVALUATED)
            for index, tracks in enumerate(found)
            for track, detection in tracks
        ]
        count += len({row[1] for row in rows})
        numbers.append(evaluate_sequence(pan.truth, _rows(rows), (EVALUATED,), (IGNORED,)))
    metrics = combine(numbers).as_dict()
    return {"tracker": name, "new": new, "high": high, "low": low, **metrics, "tracks_found": count}


def main() -> None:
    """Judge all choices, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="labeled photographs with classes of COCO")
    parser.add_argument("--images", help="folder of the images, if it is not where the labels say")
    parser.add_argument("--pans", type=int, default=16, help="number of photographs (default: %(default)s)")
    parser.add_argument("--json", help="write the metrics as JSON")
    options = parser.parse_args()
    path = embedded_onnx_path()
    if path is None:
        parser.error("the package contains no detector")
    predictor = load_exported(path, min_score=0.005, threads=1)
    made = list(pans(predictor, SourceConfig(path=options.data, images=options.images), options.pans))
    rows = [judged(made, *choice) for choice in CHOICES]
    lines = [
        (
            row["tracker"],
            *("-" if row[name] is None else f"{row[name]:g}" for name in ("new", "high", "low")),
            *(f"{row[name]:.3f}" for name in ("HOTA", "IDF1", "recall", "precision")),
            f"{row['tracks_found']} of {int(row['tracks'])}",
        )
        for row in rows
    ]
    header = ("tracker", "start", "continue", "weak", "HOTA", "IDF1", "recall", "precision", "tracks")
    print(table(lines, header, set(header[1:])))
    if options.json:
        write_json(options.json, {"pans": len(made), "frames": FRAMES, "choices": rows})


if __name__ == "__main__":
    main()

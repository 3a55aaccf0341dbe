"""The main figures of a report as images for TensorBoard."""

from __future__ import annotations

import io
import math
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detkit.checkpoint.atomic import explain_write_errors
from detkit.drawing.charts import draw_bars, draw_lines, draw_matrix
from detkit.evaluation.analysis.analysis import Analysis
from detkit.evaluation.details import ERRORS
from detkit.report.sections.curves import RECALLS
from detkit.report.subject import BACKGROUND

MATRIX_CLASSES = 20
"""Classes of the confusion matrix, those with the most objects."""


def figures(analysis: Analysis) -> dict[str, NDArray[np.uint8]]:
    """Return the main figures of a report as ``(H, W, 3)`` uint8 RGB, by name."""
    overall, score = analysis.curves[0], analysis.curves[0].by_score
    by_recall = {"IoU .50": overall.precision_50, "IoU .75": overall.precision_75, "IoU .50 to .95": overall.precision_mean}
    by_score = {"precision": score.precision, "recall": score.recall, "F1": score.f1}
    bins = [(row.score, row.precision) for row in analysis.calibration[0].bins if row.count]
    classes = sorted((row for row in analysis.numbers.classes if not math.isnan(row.ap)), key=lambda row: -row.ap)
    tide = {meaning: analysis.tide[kind][1] for kind, meaning in ERRORS.items()}
    return {
        "precision_recall": draw_lines(
            {k: _points(RECALLS, v) for k, v in by_recall.items()}, "Precision over recall", "recall", "precision"
        ),
        "score": draw_lines({k: _points(score.scores, v) for k, v in by_score.items()}, "Precision, recall and F1", "score", "value"),
        "calibration": draw_lines({"detections": bins, "ideal": [(0, 0), (1, 1)]}, "Calibration", "mean score", "precision"),
        "ap_by_class": draw_bars({row.name: row.ap for row in classes}, "AP by class"),
        "errors": draw_bars({_first_words(name): cost for name, cost in tide.items()}, "AP50 lost to each kind of error"),
        "confusion": _matrix(analysis),
    }


def write_figures(folder: Path, images: Mapping[str, NDArray[np.uint8]], step: int) -> None:
    """Write images into an event file of their own in the folder of TensorBoard's files.

    Raises:
        WriteError: If the disk is full, or no file can be written there.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    values = []
    for name, image in images.items():
        encoded = Summary.Image(height=image.shape[0], width=image.shape[1], colorspace=3, encoded_image_string=_png(image))
        values.append(Summary.Value(tag=f"report/{name}", image=encoded))
    path = folder / f"events.out.tfevents.{int(time.time()):010d}.{platform.node()}.{os.getpid()}.report"
    with explain_write_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as handle:
            writer = RecordWriter(handle)
            for event in (
                Event(wall_time=time.time(), file_version="brain.Event:2"),
                Event(wall_time=time.time(), step=step, summary=Summary(value=values)),
            ):
                writer.write(event.SerializeToString())


def _points(xs: object, ys: object) -> list[tuple[float, float]]:
    return list(zip(np.asarray(xs).tolist(), np.asarray(ys).tolist(), strict=True))


def _first_words(name: str) -> str:
    return " ".join(name.replace(",", "").split()[:3])


def _png(image: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG")
    return stream.getvalue()


def _matrix(analysis: Analysis) -> NDArray[np.uint8]:
    """Draw the confusion matrix of the classes with the most objects, and the background."""
    most = sorted(analysis.numbers.classes, key=lambda row: -row.boxes)[:MATRIX_CLASSES]
    kept = {row.category_id for row in most}
    rows = [row for row in analysis.numbers.classes if row.category_id in kept]
    index: dict[int | None, int] = {row.category_id: position for position, row in enumerate(rows)}
    index[None] = len(rows)
    counts = [[0] * len(index) for _ in index]
    for cell in analysis.confusion.cells:
        if cell.true_class in index and cell.detected_class in index:
            counts[index[cell.true_class]][index[cell.detected_class]] = cell.count
    return draw_matrix([*(row.name for row in rows), BACKGROUND], counts, "Confusion: true class by row")

"""``detkit evaluate`` for models of semantic segmentation: mIoU, pixel accuracy, and the IoU of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detkit.cli.evaluate.class_job import ClassJob
from detkit.cli.evaluate.jobs import image_bar
from detkit.cli.evaluate.options import EvaluateOptions
from detkit.cli.outputs import Outputs
from detkit.cli.pyramid import with_pyramid, with_trained_tiles
from detkit.cli.report import table

if TYPE_CHECKING:
    from detkit.evaluation.segmentation import SegmentationNumbers


def evaluate_pixels(options: EvaluateOptions, outputs: Outputs) -> int:
    """Evaluate the model, print and write.

    Raises:
        ValueError: If a flag concerns boxes.
    """
    from detkit.experiment.segmentation_run import evaluate_segmenter

    job = ClassJob.load(options, "objects", "predicts classes of pixels", views=True)
    predictor = with_pyramid(job.predictor, with_trained_tiles(options, job.model))
    progress = image_bar(len(job.data))
    numbers = evaluate_segmenter(predictor, job.data, renames=job.renames, classes=job.classes, progress=progress)
    return job.finish(outputs, _text(numbers), (numbers.images, "segmenting"), _numbers(numbers))


def _text(numbers: SegmentationNumbers) -> str:
    total = max(int(numbers.pixels.sum()), 1)
    columns = zip(numbers.class_names, numbers.pixels.tolist(), numbers.iou.tolist(), numbers.accuracy.tolist(), strict=True)
    rows = [(name, f"{pixels / total:.2%}", _number(iou), _number(accuracy)) for name, pixels, iou, accuracy in columns]
    values = numbers.values
    totals = f"mIoU {values['miou']:.4f}   pixel accuracy {values['pixel_accuracy']:.4f}   mean over classes {values['mean_accuracy']:.4f}"
    ignored = f"{numbers.ignored / (total + numbers.ignored):.2%} of the pixels are ignored" if numbers.ignored else ""
    body = table(rows, ("class", "pixels", "IoU", "accuracy"), {"pixels", "IoU", "accuracy"})
    return "\n\n".join(part for part in (totals, body, ignored) if part)


def _number(value: float) -> str:
    """Return a metric as text; a dash for a class of which there is no pixel."""
    return f"{value:.4f}" if value == value else "-"


def _numbers(numbers: SegmentationNumbers) -> dict[str, Any]:
    by_class = {
        name: {"iou": None if iou != iou else iou, "pixels": pixels}
        for name, iou, pixels in zip(numbers.class_names, numbers.iou.tolist(), numbers.pixels.tolist(), strict=True)
    }
    totals = {**numbers.values, "images": numbers.images, "ignored_pixels": numbers.ignored}
    return {**totals, "by_class": by_class, "confusion": numbers.confusion.tolist()}

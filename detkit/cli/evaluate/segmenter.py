"""``detkit evaluate`` for models of semantic segmentation: mIoU, pixel accuracy, and the IoU of each class."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.evaluate.class_job import ClassJob
from detkit.cli.evaluate.jobs import image_bar
from detkit.cli.evaluate.options import VIEW_FLAGS, EvaluateOptions
from detkit.cli.evaluate.text import against_text
from detkit.cli.outputs import Outputs
from detkit.cli.pyramid import with_pyramid, with_trained_tiles
from detkit.cli.report import table
from detkit.cli.resolve import resolve_model

if TYPE_CHECKING:
    from detkit.data import DetectionData
    from detkit.evaluation.analysis.intervals import Interval
    from detkit.evaluation.segmentation import SegmentationNumbers
    from detkit.inference import Predictor
    from detkit.report.evaluation import WrittenReport


def evaluate_pixels(options: EvaluateOptions, outputs: Outputs) -> int:
    """Evaluate the model, print and write.

    Raises:
        ValueError: If a flag concerns boxes.
    """
    from detkit.evaluation.segmentation_intervals import segmentation_differences, segmentation_intervals
    from detkit.experiment.segmentation_run import label_maps, segment_labeled, segmented_data

    job = ClassJob.load(options, "objects", "predicts classes of pixels", (*VIEW_FLAGS, "against"))
    other = _load_other(options) if options.against else None
    views = with_pyramid(job.predictor, with_trained_tiles(options, job.model))
    data, progress = segmented_data(views, job.data, job.renames, job.classes), image_bar(len(job.data))
    numbers = segment_labeled(views, data, progress)
    intervals, text, more = segmentation_intervals(numbers), "", {}
    if other is not None and options.against:
        others = with_pyramid(other, with_trained_tiles(options, options.against))
        compared = segment_labeled(others, segmented_data(others, job.data, job.renames, job.classes), image_bar(len(data)))
        rows = segmentation_differences(numbers, compared)
        text = f"\n\n{against_text(options.against, rows)}"
        more = {"against": {"other": options.against, "numbers": [row.to_dict() for row in rows]}}

    def make_report(path: str | Path) -> WrittenReport:
        from detkit.report.classes.segmenter import SegmenterSubject, segmenter_report
        from detkit.report.sources import ImageSource

        maps = partial(label_maps, views, data)
        return segmenter_report(
            SegmenterSubject(job.title, numbers, intervals, ImageSource.of_rows(data), maps, job.facts, job.command), path
        )

    content = {**_numbers(numbers, data), "intervals": {name: [value.low, value.high] for name, value in intervals.items()}, **more}
    return job.finish(outputs, _text(numbers, intervals) + text, (numbers.images, "segmenting"), content, make_report)


def _load_other(options: EvaluateOptions) -> Predictor:
    """Load the model of ``--against``.

    Raises:
        ValueError: If it does not segment.
    """
    from detkit.inference import load

    other: Predictor = load(resolve_model(options.against)[0], options.device, options.precision)
    if not other.runtime.info.segments:
        raise ValueError(f"--against {options.against}: expected a model that predicts classes of pixels, got one that predicts others")
    return other


def _text(numbers: SegmentationNumbers, intervals: Mapping[str, Interval]) -> str:
    total = max(int(numbers.pixels.sum()), 1)
    columns = zip(numbers.class_names, numbers.pixels.tolist(), numbers.iou.tolist(), numbers.accuracy.tolist(), strict=True)
    rows = [(name, f"{pixels / total:.2%}", _number(iou), _number(accuracy)) for name, pixels, iou, accuracy in columns]
    values, spans = numbers.values, {name: f"{value.low:.3f} to {value.high:.3f}" for name, value in intervals.items()}
    totals = f"mIoU {values['miou']:.4f}   pixel accuracy {values['pixel_accuracy']:.4f}   mean over classes {values['mean_accuracy']:.4f}"
    spread = f"95 % intervals over the images: mIoU {spans['miou']}, pixel accuracy {spans['pixel_accuracy']}"
    ignored = f"{numbers.ignored / (total + numbers.ignored):.2%} of the pixels are ignored" if numbers.ignored else ""
    body = table(rows, ("class", "pixels", "IoU", "accuracy"), {"pixels", "IoU", "accuracy"})
    return "\n\n".join(part for part in (f"{totals}\n{spread}" if numbers.images else totals, body, ignored) if part)


def _number(value: float) -> str:
    """Return a metric as text; a dash for a class of which there is no pixel."""
    return f"{value:.4f}" if value == value else "-"


def _numbers(numbers: SegmentationNumbers, data: DetectionData) -> dict[str, Any]:
    from detkit.report.classes.segmenter import worst_images

    by_class = {
        name: {"iou": None if iou != iou else iou, "pixels": pixels}
        for name, iou, pixels in zip(numbers.class_names, numbers.iou.tolist(), numbers.pixels.tolist(), strict=True)
    }
    columns = zip(numbers.class_names, numbers.pixels.tolist(), numbers.iou.tolist(), numbers.accuracy.tolist(), strict=True)
    classes = [dict(zip(("name", "pixels", "iou", "accuracy"), row, strict=True)) for row in columns]
    worst = [{"image": str(data.records.paths[index]), "iou": float(numbers.image_iou[index])} for index in worst_images(numbers)]
    totals = {**numbers.values, "images": numbers.images, "pixels": int(numbers.pixels.sum()), "ignored_pixels": numbers.ignored}
    return {**totals, "by_class": by_class, "classes": classes, "confusion": numbers.confusion.tolist(), "worst_images": worst}

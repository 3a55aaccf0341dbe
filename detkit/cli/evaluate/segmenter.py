"""``detkit evaluate`` for models of semantic segmentation: mIoU, pixel accuracy, and the IoU of each class."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from detkit.cli.evaluate.jobs import chosen_classes, image_bar, labeled
from detkit.cli.evaluate.options import VIEW_FLAGS, EvaluateOptions
from detkit.cli.outputs import Outputs, write_output
from detkit.cli.report import count, duration, memory_line, table
from detkit.cli.resolve import model_line, resolve_model

if TYPE_CHECKING:
    from detkit.evaluation.segmentation import SegmentationNumbers

_BOX_FLAGS = ("results", "max_detections", *VIEW_FLAGS, "details", "at_operating_point", "against", "report")


def evaluate_pixels(options: EvaluateOptions, outputs: Outputs) -> int:
    """Evaluate the model, print and write.

    Raises:
        ValueError: If a flag concerns boxes.
    """
    given = [name for name in _BOX_FLAGS if getattr(options, name)]
    if given or options.metric != "coco":
        flag = given[0].replace("_", "-") if given else "metric"
        raise ValueError(f"--{flag} concerns objects, and {options.model or 'the newest run'} predicts classes of pixels; leave it out")
    from detkit.data import parse_renames
    from detkit.experiment.segmentation_run import evaluate_segmenter
    from detkit.inference import load

    start = time.perf_counter()
    model, reason = resolve_model(options.model, options.latest)
    predictor = load(model, options.device, options.precision, runtime=options.runtime, threads=options.threads)
    print(model_line(model, reason, predictor.class_names, predictor.device, predictor.precision))
    data = labeled(options, model)
    renames = parse_renames(options.rename or ())
    classes, loaded = chosen_classes(options.classes, data, renames), time.perf_counter()
    numbers = evaluate_segmenter(predictor, data, renames=renames, classes=classes, progress=image_bar(len(data)))
    seconds = time.perf_counter() - loaded
    print(f"\n{_text(numbers)}\n")
    per_image = f"{1000 * seconds / max(numbers.images, 1):.0f} ms per image"
    print(f"{count(numbers.images, 'image')}; loading {duration(loaded - start)}, segmenting {duration(seconds)} ({per_image})")
    print(memory_line())
    outputs.write("json", lambda path: _write(path, {"model": str(model), "data": data.name}, numbers))
    if outputs.written:
        print(f"written: {', '.join(outputs.written)}")
    return 0


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


def _write(path: str, about: dict[str, str], numbers: SegmentationNumbers) -> None:
    from detkit.about import __version__

    by_class = {
        name: {"iou": None if iou != iou else iou, "pixels": pixels}
        for name, iou, pixels in zip(numbers.class_names, numbers.iou.tolist(), numbers.pixels.tolist(), strict=True)
    }
    content = {"detkit": __version__, **about, **numbers.values, "images": numbers.images, "ignored_pixels": numbers.ignored}
    content |= {"by_class": by_class, "confusion": numbers.confusion.tolist()}
    write_output(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")

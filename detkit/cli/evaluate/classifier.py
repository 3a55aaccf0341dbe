"""``detkit evaluate`` for image classifiers: top-1, top-5, and top-1 per class."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.evaluate.jobs import chosen_classes, image_bar, labeled
from detkit.cli.evaluate.options import VIEW_FLAGS, EvaluateOptions
from detkit.cli.outputs import Outputs, write_output
from detkit.cli.report import count, duration, memory_line, table
from detkit.cli.resolve import model_line, resolve_model

if TYPE_CHECKING:
    from detkit.data.crops import CropConfig
    from detkit.evaluation.accuracy import Accuracy

_BOX_FLAGS = ("results", "max_detections", *VIEW_FLAGS, "details", "at_operating_point", "against", "report")


def evaluate_images(options: EvaluateOptions, outputs: Outputs) -> int:
    """Evaluate the classifier, print and write.

    Raises:
        ValueError: If a flag concerns boxes.
    """
    given = [name for name in _BOX_FLAGS if getattr(options, name)]
    if given or options.metric != "coco":
        flag = given[0].replace("_", "-") if given else "metric"
        raise ValueError(f"--{flag} concerns boxes, and {options.model or 'the newest run'} is a classifier; leave it out")
    from detkit.data import parse_renames
    from detkit.experiment.evaluation_run import evaluate_classifier
    from detkit.inference import load

    start = time.perf_counter()
    model, reason = resolve_model(options.model, options.latest)
    predictor = load(model, options.device, options.precision, runtime=options.runtime, threads=options.threads)
    names = predictor.class_names
    print(model_line(model, reason, names, predictor.device, predictor.precision))
    data = labeled(options, model)
    renames = parse_renames(options.rename or ())
    classes, crops = chosen_classes(options.classes, data, renames), _crops(model)
    loaded = time.perf_counter()
    progress = image_bar(len(data.records.labels))
    accuracy = evaluate_classifier(predictor, data, renames=renames, classes=classes, crops=crops, progress=progress)
    done = time.perf_counter()
    print(f"\n{_text(accuracy, names)}\n")
    images = int(accuracy.counts.sum())
    per_image = f"{1000 * (done - loaded) / images:.0f} ms per image"
    print(f"{count(images, 'image')}; loading {duration(loaded - start)}, classifying {duration(done - loaded)} ({per_image})")
    print(memory_line())
    outputs.write("json", lambda path: _write(path, {"model": str(model), "data": data.name}, accuracy, names))
    if outputs.written:
        print(f"written: {', '.join(outputs.written)}")
    return 0


def _text(accuracy: Accuracy, names: tuple[str | None, ...]) -> str:
    rows = [
        (name or "?", int(number), f"{top1:.4f}")
        for name, number, top1 in zip(names, accuracy.counts, accuracy.by_class, strict=True)
        if number
    ]
    totals = f"top-1 {accuracy.top1:.4f}   top-5 {accuracy.top5:.4f}   mean over classes {accuracy.balanced:.4f}"
    return f"{totals}\n\n{table(rows, ('class', 'images', 'top-1'), {'images', 'top-1'})}"


def _crops(model: str | Path) -> CropConfig | None:
    """Return how training cropped the objects, if the checkpoint records it."""
    from detkit.checkpoint import read_header
    from detkit.experiment.config import Experiment
    from detkit.inference.sources import checkpoint_path

    path = checkpoint_path(model)
    text = read_header(path)["experiment"] if path is not None else ""
    return Experiment.from_json(text).data.crops if text else None


def _write(path: str, about: dict[str, str], accuracy: Accuracy, names: tuple[str | None, ...]) -> None:
    from detkit.about import __version__

    by_class = {str(name): float(top1) for name, top1, number in zip(names, accuracy.by_class, accuracy.counts, strict=True) if number}
    content = {"detkit": __version__, **about, **accuracy.values, "images": int(accuracy.counts.sum()), "top1_by_class": by_class}
    write_output(path, json.dumps({**content, "confusion": accuracy.confusion.tolist()}, ensure_ascii=False, indent=1) + "\n")

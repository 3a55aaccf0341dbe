"""``detkit evaluate`` for image classifiers: top-1, top-5, and top-1 per class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.evaluate.class_job import ClassJob
from detkit.cli.evaluate.jobs import image_bar
from detkit.cli.evaluate.options import EvaluateOptions
from detkit.cli.outputs import Outputs
from detkit.cli.report import table

if TYPE_CHECKING:
    from detkit.data.crops import CropConfig
    from detkit.evaluation.accuracy import Accuracy
    from detkit.report.evaluation import WrittenReport


def evaluate_images(options: EvaluateOptions, outputs: Outputs) -> int:
    """Evaluate the classifier, print and write.

    Raises:
        ValueError: If a flag concerns boxes.
    """
    from detkit.experiment.classification_run import classified_data, classify_labeled

    job = ClassJob.load(options, "boxes", "is a classifier")
    names = job.predictor.class_names
    data = classified_data(job.predictor, job.data, _crops(job.model), job.renames, job.classes)
    classified = classify_labeled(job.predictor, data, image_bar(len(data)))
    accuracy = classified.accuracy

    def make_report(path: str | Path) -> WrittenReport:
        from detkit.report.classes.classifier import ClassifierSubject, classifier_report
        from detkit.report.sources import ImageSource

        return classifier_report(ClassifierSubject(job.title, classified, ImageSource.of_rows(data), job.facts, job.command), path)

    numbers = {**_numbers(accuracy, names), "analysis": classified.to_dict()} if options.json is not None else {}
    return job.finish(outputs, _text(accuracy, names), (len(data), "classifying"), numbers, make_report)


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


def _numbers(accuracy: Accuracy, names: tuple[str | None, ...]) -> dict[str, Any]:
    by_class = {str(name): float(top1) for name, top1, number in zip(names, accuracy.by_class, accuracy.counts, strict=True) if number}
    totals = {**accuracy.values, "images": int(accuracy.counts.sum())}
    return {**totals, "top1_by_class": by_class, "confusion": accuracy.confusion.tolist()}

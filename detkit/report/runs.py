"""The report of a training, from the detections that its validation kept; nothing is detected again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from detkit.checkpoint import read_header
from detkit.evaluation.analysis import analyze
from detkit.evaluation.evaluator import Evaluator
from detkit.experiment.config import Experiment
from detkit.experiment.origin import read_set_by
from detkit.experiment.tasks import read_data
from detkit.report.evaluation import WrittenReport, evaluation_report, training_report
from detkit.report.masks import EvaluatedMasks, with_masks
from detkit.report.sources import ImageSource
from detkit.report.subject import Subject
from detkit.report.tensorboard import figures, write_figures
from detkit.report.training import TrainingFacts
from detkit.training.folder import RunFolder
from detkit.training.kept_detections import BEST, LAST, KeptDetections
from detkit.training.validation import validation_images

FILE = "report.html"


def has_kept_detections(folder: Path) -> bool:
    """Whether the validation of a run kept detections."""
    return any((folder / name).is_file() for name in (BEST, LAST))


def run_report(folder: str | Path, path: str | Path | None = None, command: str = "") -> WrittenReport:
    """Write the report of a run: its training, and its best evaluation if that kept detections.

    The main figures are also written as images for TensorBoard, if the run has such files.

    Args:
        folder: The folder of the run.
        path: The file to write; by default ``report.html`` in the folder.
        command: The command that repeats the run.

    Raises:
        FileNotFoundError: If the run has no checkpoint, or its validation data is gone.
        ValueError: If the detections do not belong to the checkpoint or to the data.
        WriteError: If the file cannot be written.
    """
    run = RunFolder(Path(folder))
    path = run.path / FILE if path is None else Path(path)
    config = Experiment.from_json(run.config.read_text("utf-8"))
    facts = TrainingFacts.of_run(run.path, read_set_by(run.path, config))
    if config.model.whole_images or not has_kept_detections(run.path):
        return training_report(facts, f"Training {run.path.name}", path, command)
    subject = run_subject(run, config, facts, command)
    written = evaluation_report(subject, path)
    tensorboard = run.path / "tensorboard"
    if tensorboard.is_dir():
        write_figures(tensorboard, figures(subject.analysis), int(subject.facts["step"]))
    return written


def run_subject(run: RunFolder, config: Experiment, facts: TrainingFacts, command: str = "") -> Subject:
    """Return the best evaluation of a run, or the newest if the best kept no detections, with its training."""
    checkpoint, kept = _kept(run)
    header = read_header(checkpoint)
    with _quiet(logging.getLogger("detkit.data")):  # warnings about the data were printed when the training started
        data = validation_images(read_data(config)[1], config.evaluation)
    evaluator = Evaluator(data, header["class_names"])
    for image_id, detections in zip(data.records.image_ids, kept.by_image(data.records.image_ids), strict=True):
        evaluator.add(image_id, detections)
    about: dict[str, Any] = {"model": str(checkpoint), "data": data.name, "step": kept.step, "precision": config.evaluation.precision}
    title = f"{run.path.name} on {Path(data.name).name}, after {kept.step:,} steps"
    analysis = analyze(evaluator.ground_truth, evaluator.table())
    analysis, source = with_masks(analysis, ImageSource.of_data(evaluator.data), EvaluatedMasks.of(evaluator))
    return Subject(title, analysis, evaluator.ground_truth, source, about, command, facts)


def _kept(run: RunFolder) -> tuple[Path, KeptDetections]:
    """Return the best checkpoint with its detections, else the newest with its.

    Raises:
        ValueError: If the detections of neither are those of its evaluation.
    """
    reasons = []
    for checkpoint, name in ((run.best, BEST), (run.last, LAST)):
        try:
            kept = KeptDetections.read(run.path / name)
        except (OSError, ValueError) as error:
            reasons.append(f"{name}: {error}")
            continue
        if name == LAST or read_header(checkpoint).get("step") == kept.step:
            return checkpoint, kept
        reasons.append(f"{name}: of step {kept.step}, which is not that of {checkpoint.name}")
    raise ValueError(f"{run.path}: no detections for a report ({'; '.join(reasons)}); evaluate the run with detkit evaluate {run.path}")


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)

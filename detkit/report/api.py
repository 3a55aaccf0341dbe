"""The report in Python: of a run, or of a detector on labeled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detkit.data import DetectionData
from detkit.evaluation.analysis import analyze
from detkit.experiment.evaluation_run import detect_labeled
from detkit.experiment.results import machine_facts
from detkit.inference import ImagePyramid, Predictor, choose_model
from detkit.report.evaluation import evaluation_report
from detkit.report.masks import EvaluatedMasks, with_masks
from detkit.report.runs import FILE, has_kept_detections, run_report
from detkit.report.sources import ImageSource
from detkit.report.subject import Subject


def write_report(
    model: str | Path | Predictor | ImagePyramid[Any] | None = None,
    data: str | Path | DetectionData | None = None,
    path: str | Path | None = None,
    *,
    images: str | Path | None = None,
    split: str | None = None,
    classes: Sequence[str] = (),
    renames: Mapping[str, str] | None = None,
    device: str = "auto",
    precision: str = "fp32",
) -> Path:
    """Write a report as one HTML file that opens offline, and return its path.

    The report of a run without ``data`` shows the training and its best evaluation, from the detections that the run kept. Any other model
    is run on the data first.

    Args:
        model: A run folder, a checkpoint, a name that ``detkit models`` lists, a predictor, or an image pyramid of one; None: the detector
            inside the package.
        data: A COCO JSON file, a VOC folder, a YOLO ``data.yaml``, or loaded data; None: the validation data of the run.
        path: The file to write; by default ``report.html`` in the folder of the run, otherwise in the working folder.
        images: The folder of the images, if ``data`` does not determine it.
        split: Split of the data; None: ``val`` or else ``test`` if the data has such splits.
        classes: Evaluate only these classes, by the model's names; empty: all classes.
        renames: Class names of the data and the corresponding names of the model: ``{"tvmonitor": "tv"}``.
        device: Device of the detector: ``"auto"``, ``"cpu"``, ``"cuda"``.
        precision: Number format.

    Raises:
        FileNotFoundError: If the weights or the data are not found.
        ValueError: If the data has classes that the model does not have, or an argument is invalid.
        OSError: If the file cannot be written.
    """
    folder = None if model is None or isinstance(model, (Predictor, ImagePyramid)) or not Path(model).is_dir() else Path(model)
    if folder is not None and data is None and not (classes or renames or split) and has_kept_detections(folder):
        return run_report(folder, path).path
    evaluator = detect_labeled(
        model, data, images=images, split=split, classes=classes, renames=renames, device=device, precision=precision
    )
    analysis = analyze(evaluator.ground_truth, evaluator.table())
    named = "the detector" if isinstance(model, (Predictor, ImagePyramid)) else str(choose_model(model)[0])
    facts = {"model": named, "data": evaluator.data.name, "precision": precision, **machine_facts()}
    title = f"{Path(named).name} on {Path(evaluator.data.name).name}"
    analysis, source = with_masks(analysis, ImageSource.of_data(evaluator.data), EvaluatedMasks.of(evaluator))
    subject = Subject(title, analysis, evaluator.ground_truth, source, facts)
    return evaluation_report(subject, path or (folder or Path()) / FILE).path

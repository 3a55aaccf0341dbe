"""Calibration: the scores from which a detector's detections are used, found on labeled images and kept in a copy of its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from detkit.checkpoint.operating_points import OperatingPoints
from detkit.checkpoint.recalibrate import check_new, recalibrate
from detkit.data import DetectionData
from detkit.evaluation.analysis.fitting import fit_operating_points
from detkit.evaluation.analysis.target import Target
from detkit.experiment.evaluation_run import detect_labeled, predicted_by
from detkit.export.files.recalibrate import recalibrate_exported
from detkit.inference import choose_model
from detkit.inference.runtime import is_exported
from detkit.inference.sources import checkpoint_path
from detkit.weights import embedded_path


def calibrate(
    model: str | Path | None = None,
    data: str | Path | DetectionData | None = None,
    target: str | Target = "f1",
    *,
    output: str | Path | None = None,
    images: str | Path | None = None,
    split: str | None = None,
    classes: Sequence[str] = (),
    renames: Mapping[str, str] | None = None,
    device: str = "auto",
    precision: str = "fp32",
) -> OperatingPoints:
    """Find the score of each class that meets a target on labeled images, and write a copy of the detector that reports from them on.

    Args:
        model: A checkpoint, a run folder or an exported file; None: the detector inside the package.
        data: A COCO JSON file, a VOC folder, a YOLO ``data.yaml``, or loaded data; None: the validation data of the run.
        target: ``f1``, ``precision=P``, ``recall=R`` or ``false-alarms-per-image=N``, for each class by itself.
        output: The file to write, which must not exist; None: write none, and use the points as ``detkit.load(model, min_score=points)``.
        images: The folder of the images, if ``data`` does not determine it.
        split: Split of the data; None: ``val`` or else ``test`` if the data has such splits.
        classes: Find the scores of these classes only, by the model's names. Empty: of all classes.
        renames: Class names of the data and the corresponding names of the model.
        device: Device of the detector.
        precision: Number format of the detector.

    Raises:
        FileNotFoundError: If the weights or the data are not found.
        FileExistsError: If ``output`` exists.
        ValueError: If the target is unknown, the model is not a file that keeps operating points, or no detection is correct.
    """
    wanted = target if isinstance(target, Target) else Target.parse(target)
    source, _ = choose_model(model)
    if output is not None:
        calibratable(source)
        check_new(output)
    evaluator = detect_labeled(
        source, data, images=images, split=split, classes=classes, renames=renames, device=device, precision=precision
    )
    points = fit_operating_points(evaluator.ground_truth, evaluator.table(), wanted, data=evaluator.data.name, split=split)
    if output is not None:
        write_calibrated(source, output, points)
    return points


def calibratable(source: str | Path) -> Path:
    """Return the file of a detector of which a copy with operating points can be written.

    Raises:
        ValueError: If the source is not such a file; the message says what to do.
    """
    if is_exported(source):
        return Path(source)
    path = checkpoint_path(source)
    if path is None:
        raise ValueError(
            f"{source}: expected a detkit checkpoint, a run or an exported file, as published weights keep no operating points; "
            "make a checkpoint of them with `detkit models import`"
        )
    if predicted_by(path) == "classes":
        raise ValueError(f"{source}: expected a detector, got a classifier, which has no operating points")
    return path


def default_output(source: str | Path, target: Target) -> Path:
    """Return an unused name for the calibrated copy: next to the detector, or in the working folder for that inside the package."""
    path = calibratable(source)
    folder, stem = (Path(), "embedded") if path == embedded_path() else (path.parent, path.stem)
    name = f"{stem}_{str(target).replace('=', '_')}"
    numbered = (folder / f"{name}{ending}{path.suffix}" for ending in ("", *(f"-{number}" for number in range(2, 1000))))
    return next(file for file in numbered if not file.exists())


def write_calibrated(source: str | Path, output: str | Path, points: OperatingPoints) -> None:
    """Write a copy of a detector with other operating points.

    Raises:
        FileExistsError: If ``output`` exists.
        ValueError: If ``source`` keeps no operating points, or ``output`` has another ending.
    """
    path = calibratable(source)
    if Path(output).suffix != path.suffix:
        raise ValueError(f"{output}: expected a file name ending in {path.suffix}, as {path} has")
    (recalibrate_exported if is_exported(path) else recalibrate)(path, output, points)

"""The two jobs of ``detkit evaluate``: a results file without a detector, and a detector on labeled images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.evaluate.options import VOC_RULES, EvaluateOptions
from detkit.cli.flags import class_names
from detkit.cli.pyramid import with_pyramid, with_trained_tiles
from detkit.cli.report import count, with_bar
from detkit.cli.resolve import model_line, resolve_model, settings_digest
from detkit.printable import printable

if TYPE_CHECKING:
    from detkit.data import DetectionData
    from detkit.evaluation import CocoNumbers, VocNumbers
    from detkit.evaluation.compare import Difference
    from detkit.evaluation.details import Details
    from detkit.evaluation.evaluator import Evaluator
    from detkit.evaluation.ground_truth import GroundTruth
    from detkit.inference import PredictorLike
    from detkit.report.masks import EvaluatedMasks
    from detkit.report.sources import ImageSource


class FileJob:
    """Evaluates a results file against annotations; torch is not imported."""

    left_out: Mapping[str, int] = {}
    segm: CocoNumbers | None = None
    """The numbers of masks, if there are masks."""

    def __init__(self, options: EvaluateOptions) -> None:
        self.options = options
        self._files = str(options.annotations), str(options.results)  # both are given: check_evaluate_options
        self.metadata: dict[str, Any] = {"annotations": options.annotations, "results": options.results}
        self.seconds: dict[str, float] = {}

    def numbers(self) -> CocoNumbers | VocNumbers:
        """Return the numbers of the chosen metric."""
        from detkit.evaluation import evaluate_coco_files, evaluate_voc_files

        start = time.perf_counter()
        if self.options.metric == "coco":
            coco = evaluate_coco_files(*self._files, self.options.evaluator)
            numbers: CocoNumbers | VocNumbers = coco
            self.segm = coco.segm
        else:
            numbers = evaluate_voc_files(*self._files, VOC_RULES[self.options.metric], self.options.iou)
        self.seconds["judging"] = time.perf_counter() - start
        return numbers

    def details(self) -> Details:
        """Return the error analysis."""
        from detkit.evaluation.files import details_of_files

        return details_of_files(*self._files)

    def truth_and_results(self) -> tuple[GroundTruth, Any]:
        """Return the ground truth and the checked results."""
        from detkit.evaluation.files import read_ground_truth, read_results

        truth = read_ground_truth(self._files[0])
        return truth, read_results(self._files[1], truth)

    def masks(self) -> EvaluatedMasks | None:
        """Return the masks, if there are any."""
        from detkit.evaluation.files import read_ground_truth, read_results
        from detkit.evaluation.segm import mask_rows
        from detkit.report.masks import EvaluatedMasks

        if self.segm is None:
            return None
        truth = read_ground_truth(self._files[0], masks=True)
        return EvaluatedMasks(self.segm, truth, mask_rows(read_results(self._files[1], truth), truth))

    def images(self, truth: GroundTruth) -> ImageSource:
        """Return the images of ``--images``, if it was given."""
        from detkit.report.sources import ImageSource

        return ImageSource.of_folder(truth, None if self.options.images is None else Path(self.options.images))

    def against(self, other: str) -> tuple[Difference, ...]:
        """Return the differences from another results file."""
        from detkit.evaluation.files import differences_of_files

        return differences_of_files(*self._files, other)


class DetectorJob:
    """Evaluates a detector on labeled images."""

    segm: CocoNumbers | None = None
    """The numbers of masks, if there are masks."""

    def __init__(self, options: EvaluateOptions) -> None:
        self.options = self._given = options
        self.metadata: dict[str, Any] = {}
        self.seconds: dict[str, float] = {}
        self.evaluator = self._detect()

    @property
    def left_out(self) -> Mapping[str, int]:
        """Detections of classes that the data does not have, counted by class."""
        return self.evaluator.left_out

    def _detect(self) -> Evaluator:
        from detkit.experiment.evaluation_run import run_evaluator
        from detkit.inference import load

        start = time.perf_counter()
        model, reason = resolve_model(self.options.model, self.options.latest)
        self.options = with_trained_tiles(self.options, model)
        predictor = load(model, self.options.device, self.options.precision, **self._load_options())
        print(model_line(model, reason, predictor.class_names, predictor.device, predictor.precision))
        detector = with_pyramid(predictor, self.options)
        self.data = self._data(model)
        self.other = self._load_other(self.options.against) if self.options.against else None
        loaded = time.perf_counter()
        self.seconds["loading"] = loaded - start
        evaluator = run_evaluator(detector, self.data, image_bar(len(self.data)))
        self.seconds["detecting"] = time.perf_counter() - loaded
        self.metadata = {"model": str(model), "data": self.data.name, "precision": predictor.precision, "device": str(predictor.device)}
        self.metadata |= _settings(model)
        self.metadata |= {"runtime": self.options.runtime} if self.options.runtime else {}
        self.metadata |= {"pyramid": str(detector)} if self.options.wants_pyramid else {}
        return evaluator

    def _load_options(self) -> dict[str, Any]:
        names = ("proposals_cache", "max_detections", "runtime", "threads")
        given = {name: getattr(self.options, name) for name in names}
        return {name: value for name, value in given.items() if value is not None}

    def _load_other(self, other: str) -> PredictorLike | None:
        """Return the detector to compare with, or None for a results file; errors in either are raised before the long work."""
        from detkit.data import ClassMapping
        from detkit.inference import load

        if other.endswith(".json"):
            if not Path(other).is_file():
                raise FileNotFoundError(f"--against {other}: no such file; expected COCO results, as --results writes them, or a detector")
            return None
        model = resolve_model(other)[0]
        predictor = load(model, self.options.device, self.options.precision, **self._load_options())
        ClassMapping.subset(self.data.class_names, predictor.class_names)
        return with_pyramid(predictor, with_trained_tiles(self._given, model))

    def against(self, other: str) -> tuple[Difference, ...]:
        """Return the differences from another detector or results file."""
        from detkit.evaluation.compare import differences
        from detkit.experiment.evaluation_run import run_evaluator

        truth, own = self.evaluator.ground_truth, self.evaluator.table()
        if self.other is None:
            return differences(truth, own, self.evaluator.read_results(other))
        return differences(truth, own, run_evaluator(self.other, self.data, image_bar(len(self.data))).table())

    def _data(self, model: str | Path) -> DetectionData:
        from detkit.data import parse_renames
        from detkit.experiment.evaluation_run import with_classes

        data = labeled(self.options, model)
        renames = parse_renames(self.options.rename or ())
        for old, new in renames.items():
            print(f"class {printable(old)} of the data is evaluated as {printable(new)}")
        return with_classes(data, chosen_classes(self.options.classes, data, renames), renames)

    def numbers(self) -> CocoNumbers | VocNumbers:
        """Return the numbers of the chosen metric."""
        start = time.perf_counter()
        if self.options.metric == "coco":
            coco = self.evaluator.numbers(self.options.evaluator)
            numbers: CocoNumbers | VocNumbers = coco
            self.segm = coco.segm
        else:
            numbers = self.evaluator.voc_numbers(VOC_RULES[self.options.metric], self.options.iou)
        self.seconds["judging"] = time.perf_counter() - start
        return numbers

    def details(self) -> Details:
        """Return the error analysis."""
        return self.evaluator.details()

    def truth_and_results(self) -> tuple[GroundTruth, Any]:
        """Return the ground truth and the detections."""
        return self.evaluator.ground_truth, self.evaluator.table()

    def masks(self) -> EvaluatedMasks | None:
        """Return the masks, if there are any."""
        from detkit.report.masks import EvaluatedMasks

        return None if self.segm is None else EvaluatedMasks(self.segm, self.evaluator.mask_truth, self.evaluator.mask_rows())

    def images(self, truth: GroundTruth) -> ImageSource:
        """Return the images of the data."""
        from detkit.report.sources import ImageSource

        del truth
        return ImageSource.of_data(self.evaluator.data)


def _settings(model: str | Path) -> dict[str, str]:
    """Return the digest of a checkpoint's settings, empty for other models."""
    from detkit.checkpoint import read_header
    from detkit.inference.sources import checkpoint_path

    path = checkpoint_path(model)
    return {"model_settings": settings_digest(read_header(path)["model"])} if path is not None and path.suffix == ".safetensors" else {}


def labeled(options: EvaluateOptions, model: str | Path) -> DetectionData:
    """Return the data to evaluate on, after printing its size and the reader's report."""
    from detkit.experiment.evaluation_run import labeled_data

    data = labeled_data(
        model,
        options.data,
        images=options.images,
        split=options.split,
        val_fraction=options.val_fraction,
        trained_on=options.trained_on,
        difficult=options.difficult,
    )
    print(f"data: {printable(data.name)}: {count(len(data), 'image')}, {count(len(data.records.boxes), 'box', 'boxes')}")
    for line in data.report.summary():
        print(line)
    return data


def chosen_classes(words: Sequence[str] | None, data: DetectionData, renames: Mapping[str, str]) -> list[str]:
    """Return the classes of ``--classes``, by the names that they have after renaming; empty without the flag."""
    return class_names(words, {renames.get(name, name) for name in data.class_names}) or []


def image_bar(total: int) -> Callable[[Iterable[Any]], Iterable[Any]]:
    """Return a wrapper of images that shows a progress bar on a terminal."""
    return partial(with_bar, total=total, unit="image")

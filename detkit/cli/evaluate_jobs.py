"""What ``detkit evaluate`` does: two files judged without a detector, or a detector over labeled images."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.arguments import named_classes
from detkit.cli.pyramid import wants_pyramid, with_pyramid
from detkit.cli.report import count

if TYPE_CHECKING:
    from detkit.data import DetectionData
    from detkit.evaluation import CocoNumbers, VocNumbers
    from detkit.evaluation.compare import Difference
    from detkit.evaluation.details import Details
    from detkit.evaluation.evaluator import Evaluator
    from detkit.inference import Finder

VOC_RULES = {"voc07": "11-point", "voc": "all-point"}


class FileJob:
    """Two files and no detector: torch is not even imported."""

    left_out: Mapping[str, int] = {}

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.about = {"annotations": args.annotations, "results": args.results}
        self.seconds: dict[str, float] = {}

    def numbers(self) -> CocoNumbers | VocNumbers:
        """By the metric that was asked for."""
        from detkit.evaluation import evaluate_coco_files, evaluate_voc_files

        start = time.perf_counter()
        files = self.args.annotations, self.args.results
        if self.args.metric == "coco":
            numbers: CocoNumbers | VocNumbers = evaluate_coco_files(*files, self.args.evaluator)
        else:
            numbers = evaluate_voc_files(*files, VOC_RULES[self.args.metric], overlaps(self.args))  # type: ignore[arg-type]
        self.seconds["judging"] = time.perf_counter() - start
        return numbers

    def details(self) -> Details:
        """Where it goes wrong."""
        from detkit.evaluation.files import details_of_files

        return details_of_files(self.args.annotations, self.args.results)

    def against(self, other: str) -> tuple[Difference, ...]:
        """How it differs from another detector or file of results."""
        from detkit.evaluation.files import differences_of_files

        return differences_of_files(self.args.annotations, self.args.results, other)


class DetectorJob:
    """A detector over labeled images."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.about: dict[str, Any] = {}
        self.seconds: dict[str, float] = {}
        self.evaluator = self._detect()

    @property
    def left_out(self) -> Mapping[str, int]:
        """Detections of classes that the data does not have, by class."""
        return self.evaluator.left_out

    def _detect(self) -> Evaluator:
        from detkit.experiment.evaluation_run import judge
        from detkit.inference import choose_weights, load

        start = time.perf_counter()
        weights, reason = choose_weights(self.args.weights)
        predictor = load(weights, self.args.device, self.args.precision)
        named = sum(name is not None for name in predictor.class_names)
        print(f"weights: {weights} ({reason}; {count(named, 'class', 'classes')}), on {predictor.device} in {predictor.precision}")
        finder = with_pyramid(predictor, self.args)
        self.data = self._data(weights)
        self.other = self._opened(self.args.against) if self.args.against else None
        loaded = time.perf_counter()
        self.seconds["loading"] = loaded - start
        evaluator = judge(finder, self.data, with_bar(len(self.data)))
        self.seconds["detecting"] = time.perf_counter() - loaded
        self.about = {"weights": str(weights), "data": self.data.name, "precision": predictor.precision, "device": str(predictor.device)}
        self.about |= {"pyramid": str(finder)} if wants_pyramid(self.args) else {}
        return evaluator

    def _opened(self, other: str) -> Finder | None:
        """The detector to compare with, or none where that is a file of results; what is wrong with either shows before the long work."""
        from detkit.data import ClassMapping
        from detkit.inference import load

        if other.endswith(".json"):
            if not Path(other).is_file():
                raise FileNotFoundError(f"--against {other}: no such file; give COCO results, as --results writes them, or a detector")
            return None
        predictor = load(other, self.args.device, self.args.precision)
        ClassMapping.subset(self.data.class_names, predictor.class_names)
        return with_pyramid(predictor, self.args)

    def against(self, other: str) -> tuple[Difference, ...]:
        """How it differs from another detector or file of results."""
        from detkit.evaluation.compare import differences
        from detkit.experiment.evaluation_run import judge

        truth, own = self.evaluator.ground_truth, self.evaluator.table()
        if self.other is None:
            return differences(truth, own, self.evaluator.read_results(other))
        return differences(truth, own, judge(self.other, self.data, with_bar(len(self.data))).table())

    def _data(self, weights: str | Path) -> DetectionData:
        from detkit.data import parse_renames
        from detkit.experiment.evaluation_run import with_classes

        data = labeled(self.args, weights)
        renames = parse_renames(self.args.rename or ())
        for old, new in renames.items():
            print(f"class {old} of the data is judged as {new}")
        return with_classes(data, chosen_classes(self.args.classes, data, renames), renames)

    def numbers(self) -> CocoNumbers | VocNumbers:
        """By the metric that was asked for."""
        start = time.perf_counter()
        if self.args.metric == "coco":
            numbers: CocoNumbers | VocNumbers = self.evaluator.numbers(self.args.evaluator)
        else:
            numbers = self.evaluator.voc_numbers(VOC_RULES[self.args.metric], overlaps(self.args))  # type: ignore[arg-type]
        self.seconds["judging"] = time.perf_counter() - start
        return numbers

    def details(self) -> Details:
        """Where it goes wrong."""
        return self.evaluator.details()


def labeled(args: argparse.Namespace, weights: str | Path) -> DetectionData:
    """The data to judge on, after what its reader has to say was printed."""
    from detkit.experiment.evaluation_run import labeled_data

    fraction = _fraction(args.val_fraction)
    data = labeled_data(weights, args.data, images=args.images, split=args.split, val_fraction=fraction, trained_on=args.trained_on)
    print(f"data: {data.name}: {count(len(data), 'image')}, {count(len(data.records.boxes), 'box', 'boxes')}")
    for line in data.report.summary():
        print(line)
    return data


def chosen_classes(words: list[str] | None, data: DetectionData, renames: Mapping[str, str]) -> list[str]:
    """The classes of ``--classes``, by the names that the renamed data has; empty where the flag was not given."""
    return named_classes(words, {renames.get(name, name) for name in data.class_names}) or []


def with_bar(total: int) -> Any:
    """Shows on a terminal how far it is."""

    def wrapped(images: Iterable[Any]) -> Iterable[Any]:
        from tqdm import tqdm

        bar: Iterable[Any] = tqdm(images, total=total, unit="image", disable=None, leave=False, file=sys.stderr)
        return bar

    return wrapped


def overlaps(args: argparse.Namespace) -> tuple[float, ...]:
    """The IoU thresholds of ``--iou``."""
    try:
        values = tuple(float(text) for text in args.iou.split(","))
    except ValueError:
        values = ()
    if not values or not all(0 < value <= 1 for value in values):
        raise ValueError(f"--iou: expected numbers above 0 and at most 1, such as 0.5,0.75; got {args.iou!r}")
    return values


def _fraction(text: str | None) -> float | None:
    try:
        value = None if text is None else float(text)
    except ValueError:
        value = 0.0
    if value is not None and not 0 < value < 1:
        raise ValueError(f"--val-fraction: expected a number between 0 and 1, such as 0.1; got {text!r}")
    return value

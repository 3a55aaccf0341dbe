"""The flags of ``detkit evaluate``, the options that they fill, and the combinations that are refused."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.evaluate.report import add_report_flags, wants_report
from detkit.cli.flags import MODEL_HELP, add_flags
from detkit.cli.pyramid import PyramidOptions, add_pyramid_arguments, check_pyramid_options
from detkit.cli.values import parse_number

if TYPE_CHECKING:
    from detkit.data.sources import Difficult
    from detkit.evaluation.coco_curves import EvaluatorName
    from detkit.evaluation.voc import Rule

VIEW_FLAGS = ("pyramid", "tiles", "flip")
"""Flags that ask for several views of an image."""
VOC_RULES: dict[str, Rule] = {"voc07": "11-point", "voc": "all-point"}

_OF_THE_DATA = ("data", "images", "split", "val_fraction", "trained_on", "rename", "classes", "difficult")
_ONLY_WITH_A_DETECTOR = ("model", "latest", *(name for name in _OF_THE_DATA if name != "images"), "max_detections", *VIEW_FLAGS)
TRACKS_METRIC = "hota"
"""Metric of tracks, which are read from files; the others are of detections."""


@dataclass(frozen=True, kw_only=True)
class LabeledOptions:
    """Options of the commands that run a detector on labeled images.

    Attributes:
        model: The detector; None: the one inside the package.
        latest: Whether to use the newest run.
        data: Labeled data; None: the validation data of the run.
        images: Folder of the images of ``data``.
        split: Part of the data; None: val, else test.
        val_fraction: Use the part that training keeps for validation with this fraction.
        rename: Classes of the data and the corresponding classes of the detector, as ``A=B``.
        classes: Classes to evaluate; None: all.
        max_detections: Maximum number of detections per image; None: the model's own.
        device: Name of the device.
        precision: Number format.
        runtime: Name of the runtime; None: torch, or that of an exported file.
        threads: Number of threads; None: the default.
        proposals_cache: Folder that caches proposals; None: no cache.
    """

    model: str | None = None
    latest: bool = False
    data: str | None = None
    images: str | None = None
    split: str | None = None
    val_fraction: float | None = None
    rename: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    max_detections: int | None = None
    device: str = "auto"
    precision: str = "fp32"
    runtime: str | None = None
    threads: int | None = None
    proposals_cache: str | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(LabeledOptions, PyramidOptions):
    """Options of ``detkit evaluate``.

    Attributes:
        trained_on: Whether to evaluate the other images of the division by ``val_fraction``.
        difficult: What objects marked difficult are in COCO's metrics; None: as in the training, and of ``data`` regions to ignore.
        annotations: COCO annotations; ``results`` is evaluated against them, without a detector.
        results: COCO results: read with ``annotations``, written otherwise.
        metric: ``coco``, ``voc07``, ``voc``, or ``hota`` for tracks.
        iou: IoU thresholds of the VOC metrics.
        evaluator: Library for the COCO metric.
        details: Whether to report operating points, errors and confusions.
        at_operating_point: Whether to report precision, recall and false alarms of what detect reports.
        min_score: The lowest score for these; None: the model's operating points or suggestion.
        against: Another detector, or a COCO results file, to compare with.
        json: File of all numbers as JSON.
        report: File of the HTML report; None: in a new folder.
        no_report: Whether to write no report.
    """

    trained_on: bool = False
    difficult: Difficult | None = None
    annotations: str | None = None
    results: str | None = None
    metric: str = "coco"
    iou: tuple[float, ...] = (0.5,)
    evaluator: EvaluatorName = "hotcoco"
    details: bool = False
    at_operating_point: bool = False
    min_score: float | None = None
    against: str | None = None
    json: str | None = None
    report: str | None = None
    no_report: bool = False


def add_evaluate_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit evaluate``."""
    _add_data_flags(parser)
    _add_metric_flags(parser)
    add_flags(parser, "--json", help="write all numbers as JSON; with a report or --details, those of the analysis too")
    add_report_flags(parser, "report.html in a new folder evaluate-N, of the run or under runs/")
    add_flags(parser, "--device", "--precision", "--runtime", "--threads", "--proposals-cache")
    add_pyramid_arguments(parser)


def _add_data_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", nargs="?", metavar="MODEL", help=f"the detector: {MODEL_HELP} (default: embedded)")
    add_flags(parser, "--latest", "--data")
    add_flags(
        parser, "--images", help="folder of the images of --data, if it is not where the labels say; with --annotations, for the report"
    )
    add_flags(parser, "--split", help="part of the data (default: val, else test, if the data has such parts)")
    add_flags(
        parser, "--val-fraction", help="of --data, evaluate only the part that training with the same --val-fraction keeps for validation"
    )
    parser.add_argument(
        "--trained-on", action="store_true", help="with --val-fraction: the other images, to see how much the detector has memorized"
    )
    add_flags(parser, "--rename", "--classes")
    parser.add_argument(
        "--difficult",
        choices=("ignore", "object"),
        help="objects marked difficult, as in Pascal VOC: leave them out of COCO's metrics (default), or count them as any object",
    )
    add_flags(parser, "--annotations", help="COCO annotations: evaluate the file of --results against them, without a detector")
    parser.add_argument("--results", metavar="FILE", help="COCO results: read with --annotations, written otherwise")


def _add_metric_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--metric",
        choices=("coco", *VOC_RULES, TRACKS_METRIC),
        help="coco (default), voc07 (11-point AP), voc (all-point AP), or hota: tracks in MOTChallenge's format",
    )
    parser.add_argument("--iou", nargs="+", type=_iou, metavar="T", help="IoU thresholds of the VOC metrics (default: 0.5)")
    parser.add_argument("--evaluator", choices=("hotcoco", "pycocotools"), help="library for the COCO metric; pycocotools is slower")
    parser.add_argument(
        "--details", action="store_true", help="also report operating points, kinds of error (TIDE), confusions and the worst images"
    )
    parser.add_argument(
        "--at-operating-point",
        action="store_true",
        help="also report precision, recall, F1 and false alarms per image of what detect reports, overall and per class",
    )
    add_flags(
        parser, "--min-score", help="with --at-operating-point: the lowest score reported (default: as of detect; AP counts all detections)"
    )
    parser.add_argument(
        "--against",
        metavar="OTHER",
        help="also report the difference from another detector, or from a COCO results file (.json), with 95 %% "
        "intervals from 2,000 bootstrap resamples of the images",
    )


def _check_tracks(options: EvaluateOptions) -> None:
    if not (options.annotations and options.results):
        raise ValueError(f"--metric {TRACKS_METRIC} needs --annotations gt.txt --results tracks.txt, or two folders of sequences")
    given = [name for name in ("details", "at_operating_point", "against", "report") if getattr(options, name)]
    if given:
        raise ValueError(
            f"--{given[0].replace('_', '-')} is about detections, so it cannot be combined with --metric {TRACKS_METRIC}; leave it out"
        )


def _iou(text: str) -> float:
    return parse_number(text, lambda value: 0 < value <= 1, "numbers above 0 and at most 1, such as 0.5 0.75;")


def check_evaluate_options(options: EvaluateOptions) -> None:
    """Refuse flags that do not go together, before any work.

    Raises:
        ValueError: If two flags contradict each other, or one needs another.
    """
    wants_report(options.report, options.no_report)
    if options.metric == TRACKS_METRIC:
        _check_tracks(options)
    if options.annotations:
        given = [name for name in _ONLY_WITH_A_DETECTOR if getattr(options, name)]
        if given:
            flag = given[0] if given[0] == "model" else f"--{given[0].replace('_', '-')}"
            raise ValueError(
                f"--annotations evaluates a results file without a detector, so it cannot be combined with {flag}; leave out one of them"
            )
        if not options.results:
            raise ValueError("--annotations needs --results FILE, the COCO results to evaluate")
    elif options.results and Path(options.results).exists() and not options.data:
        raise ValueError(
            f"--results {options.results} exists: to evaluate it, add --annotations FILE; "
            "to overwrite it, add --data PATH or remove the file"
        )
    if options.val_fraction and not options.data:
        raise ValueError("--val-fraction needs --data PATH, which it splits; without --data, a run is evaluated on its own validation data")
    if options.trained_on and not options.val_fraction:
        raise ValueError("--trained-on needs --val-fraction F: it evaluates the images that F leaves for training")
    if options.min_score is not None and not options.at_operating_point:
        raise ValueError("--min-score needs --at-operating-point; COCO and VOC metrics count all detections")
    if options.at_operating_point and options.annotations and options.min_score is None:
        raise ValueError("--at-operating-point with --annotations needs --min-score S, as a results file has no operating points")
    if options.against and options.metric != "coco":
        raise ValueError(f"--against compares COCO metrics, so it cannot be combined with --metric {options.metric}; leave out one of them")
    if options.against and options.annotations and not options.against.endswith(".json"):
        raise ValueError(f"--against {options.against}: with --annotations, expected another COCO results file ending in .json")
    check_pyramid_options(options)

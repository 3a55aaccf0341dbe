"""Score a detector on labelled pictures, or a file of results against a file of ground truth.

    detkit evaluate runs/first-1/best.safetensors --data instances_val.json --images pictures
    detkit evaluate runs/first-1 --data VOCdevkit/VOC2012 --split val --metric voc
    detkit evaluate fasterrcnn_resnet50_fpn --data my_data/data.yaml --map tvmonitor=tv
    detkit evaluate
    detkit evaluate runs/first-1 --pyramid 0.5 1 2
    detkit evaluate --annotations instances_val.json --results results.json

Without a detector it takes the newest run's best; without --data, what that run was validated on. The data's classes must be among the
detector's, by name (after --map); detections of other classes are left out and counted. Numbers are computed in fp32 unless told.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.arguments import add_device_arguments
from detkit.cli.pyramid import add_pyramid_arguments, check_pyramid_arguments, wants_pyramid, with_pyramid
from detkit.cli.report import count, duration, memory_line
from detkit.machine import peak_memory

if TYPE_CHECKING:
    from detkit.data import DetectionData
    from detkit.evaluation import CocoNumbers, VocNumbers
    from detkit.evaluation.details import Details
    from detkit.evaluation.evaluator import Evaluator

VOC_RULES = {"voc07": "11-point", "voc": "all-point"}
_ONLY_WITH_A_DETECTOR = ("weights", "data", "images", "split", "val_fraction", "map", "classes", "pyramid", "flip")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``detkit evaluate``."""
    parser.add_argument("weights", nargs="?", metavar="WEIGHTS", help="a checkpoint, a run's folder, or a name that 'detkit weights' lists")
    parser.add_argument("--data", metavar="PATH", help="a COCO JSON file, a VOC folder, or a YOLO data.yaml")
    parser.add_argument("--images", metavar="DIR", help="the folder of the pictures, if it is not where the labels say")
    parser.add_argument("--split", metavar="NAME", help="which part of the data (default: val, or else test, if it has such parts)")
    parser.add_argument(
        "--val-fraction", metavar="F", help="of --data only the part that 'detkit train data.val_fraction=F' keeps for validation"
    )
    parser.add_argument("--map", action="append", metavar="A=B", help="the data's class A is the detector's class B; may be given again")
    parser.add_argument("--classes", action="append", metavar="A,B", help="judge only these classes")
    parser.add_argument("--annotations", metavar="FILE", help="judge the file of --results against this COCO file, without a detector")
    parser.add_argument("--results", metavar="FILE", help="COCO results: read with --annotations, else written")
    parser.add_argument("--metric", choices=("coco", *VOC_RULES), default="coco", help="voc07 is VOC's 11-point AP, voc its all-point AP")
    parser.add_argument("--overlaps", default="0.5", metavar="T,T", help="IoU thresholds of the VOC metrics (default: %(default)s)")
    parser.add_argument(
        "--engine", choices=("hotcoco", "pycocotools"), default="hotcoco", help="of the COCO metric; pycocotools is the slow reference"
    )
    parser.add_argument("--details", action="store_true", help="also where it goes wrong: best scores to cut at, kinds of error, mix-ups")
    parser.add_argument("--json", metavar="FILE", help="write all numbers")
    add_device_arguments(parser, precision="fp32")
    add_pyramid_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print, write."""
    _check(args)
    if not args.annotations and _is_classifier(args):
        from detkit.cli.evaluate_pictures import judge_pictures

        return judge_pictures(args)
    job = _FileJob(args) if args.annotations else _DetectorJob(args)
    numbers = job.numbers()
    details = job.details() if args.details else None
    _print(args, numbers, details, job)
    if args.json:
        _write_json(args, numbers, details, job)
    return 0


def _is_classifier(args: argparse.Namespace) -> bool:
    from detkit.experiment.evaluate import is_classifier

    return is_classifier(args.weights)


def _check(args: argparse.Namespace) -> None:
    """Complain about flags that do not go together, before any work."""
    if args.annotations:
        given = [name for name in _ONLY_WITH_A_DETECTOR if getattr(args, name)]
        if given:
            raise ValueError(
                f"--annotations judges a file of results without a detector, so it does not go with {given[0].replace('_', '-')}"
            )
        if not args.results:
            raise ValueError("--annotations needs --results FILE, the COCO results to judge")
    elif args.results and Path(args.results).exists() and not args.data:
        raise ValueError(
            f"--results {args.results} exists; to judge it give --annotations FILE too, to write it anew give --data or remove it"
        )
    if args.val_fraction and not args.data:
        raise ValueError("--val-fraction is a part of --data PATH; without --data a run is judged on what it was validated on")
    _overlaps(args)
    check_pyramid_arguments(args)


def _overlaps(args: argparse.Namespace) -> tuple[float, ...]:
    try:
        values = tuple(float(text) for text in args.overlaps.split(","))
    except ValueError:
        values = ()
    if not values or not all(0 < value <= 1 for value in values):
        raise ValueError(f"--overlaps: expected numbers above 0 and at most 1, such as 0.5,0.75; got {args.overlaps!r}")
    return values


def _fraction(text: str | None) -> float | None:
    try:
        value = None if text is None else float(text)
    except ValueError:
        value = 0.0
    if value is not None and not 0 < value < 1:
        raise ValueError(f"--val-fraction: expected a number between 0 and 1, such as 0.1; got {text!r}")
    return value


class _FileJob:
    """Two files and no detector: torch is not even imported."""

    left_out: Mapping[str, int] = {}

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.about = {"annotations": args.annotations, "results": args.results}
        self.seconds: dict[str, float] = {}

    def numbers(self) -> CocoNumbers | VocNumbers:
        from detkit.evaluation import evaluate_coco_files, evaluate_voc_files

        start = time.perf_counter()
        files = self.args.annotations, self.args.results
        if self.args.metric == "coco":
            numbers: CocoNumbers | VocNumbers = evaluate_coco_files(*files, self.args.engine)
        else:
            numbers = evaluate_voc_files(*files, VOC_RULES[self.args.metric], _overlaps(self.args))  # type: ignore[arg-type]
        self.seconds["judging"] = time.perf_counter() - start
        return numbers

    def details(self) -> Details:
        from detkit.evaluation.files import details_of_files

        return details_of_files(self.args.annotations, self.args.results)


class _DetectorJob:
    """A detector over labelled pictures."""

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
        from detkit.experiment.evaluate import judge
        from detkit.inference import choose_weights, load

        start = time.perf_counter()
        weights, reason = choose_weights(self.args.weights)
        predictor = load(weights, self.args.device, self.args.precision)
        named = sum(name is not None for name in predictor.class_names)
        print(f"weights: {weights} ({reason}; {count(named, 'class', 'classes')}), on {predictor.device} in {predictor.precision}")
        finder = with_pyramid(predictor, self.args)
        data = self._data(weights)
        loaded = time.perf_counter()
        self.seconds["loading"] = loaded - start
        evaluator = judge(finder, data, with_bar(len(data)))
        self.seconds["detecting"] = time.perf_counter() - loaded
        self.about = {"weights": str(weights), "data": data.name, "precision": predictor.precision, "device": str(predictor.device)}
        self.about |= {"pyramid": str(finder)} if wants_pyramid(self.args) else {}
        return evaluator

    def _data(self, weights: str | Path) -> DetectionData:
        from detkit.data import parse_renames
        from detkit.experiment.evaluate import with_classes

        data = labelled(self.args, weights)
        renames = parse_renames(self.args.map or ())
        classes = [name.strip() for item in self.args.classes or () for name in item.split(",") if name.strip()]
        for old, new in renames.items():
            print(f"class {old} of the data is judged as {new}")
        return with_classes(data, classes, renames)

    def numbers(self) -> CocoNumbers | VocNumbers:
        start = time.perf_counter()
        if self.args.metric == "coco":
            numbers: CocoNumbers | VocNumbers = self.evaluator.numbers(self.args.engine)
        else:
            numbers = self.evaluator.voc_numbers(VOC_RULES[self.args.metric], _overlaps(self.args))  # type: ignore[arg-type]
        self.seconds["judging"] = time.perf_counter() - start
        if self.args.results:
            self.evaluator.write_results(self.args.results)
        return numbers

    def details(self) -> Details:
        return self.evaluator.details()


def labelled(args: argparse.Namespace, weights: str | Path) -> DetectionData:
    """The data to judge on, after what its reader has to say was printed."""
    from detkit.experiment.evaluate import labelled_data

    fraction = _fraction(args.val_fraction)
    data = labelled_data(weights, args.data, images=args.images, split=args.split, val_fraction=fraction)
    print(f"data: {data.name}: {count(len(data), 'picture')}, {count(len(data.records.boxes), 'box', 'boxes')}")
    for line in data.report.summary():
        print(line)
    return data


def with_bar(total: int) -> Any:
    """Shows on a terminal how far it is."""

    def wrapped(pictures: Iterable[Any]) -> Iterable[Any]:
        from tqdm import tqdm

        bar: Iterable[Any] = tqdm(pictures, total=total, unit="picture", disable=None, leave=False, file=sys.stderr)
        return bar

    return wrapped


def _print(args: argparse.Namespace, numbers: Any, details: Details | None, job: _FileJob | _DetectorJob) -> None:
    from detkit.cli.evaluation_text import coco_text, counts_text, details_text, voc_text

    coco = args.metric == "coco"
    print(f"\n{coco_text(numbers) if coco else voc_text(numbers)}")
    if details is not None:
        print(f"\n{details_text(details)}")
    print()
    for line in counts_text(numbers.counts, "crowds" if coco else "difficult objects or crowds", job.left_out):
        print(line)
    times = ", ".join(f"{what} {duration(seconds)}" for what, seconds in job.seconds.items())
    each = job.seconds.get("detecting", 0) / numbers.counts.images
    print(f"{times}{f' ({1000 * each:.0f} ms a picture)' if each else ''}; {memory_line()}")
    written = [args.json, None if args.annotations else args.results]
    if any(written):
        print(f"written: {', '.join(path for path in written if path)}")


def _write_json(args: argparse.Namespace, numbers: Any, details: Details | None, job: _FileJob | _DetectorJob) -> None:
    from detkit import __version__
    from detkit.checkpoint.atomic import write_text

    peak = peak_memory()
    content = {
        "detkit": __version__,
        **job.about,
        **numbers.to_dict(),
        **({"details": details.to_dict()} if details is not None else {}),
        "left_out_classes": dict(job.left_out),
        "seconds": {what: round(seconds, 3) for what, seconds in job.seconds.items()},
        "peak_memory_bytes": peak[0] if peak is not None else None,
    }
    write_text(args.json, json.dumps(content, ensure_ascii=False, indent=1) + "\n")

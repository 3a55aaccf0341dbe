"""Evaluate a detector on labeled images, or a results file against annotations.

    detkit evaluate runs/first-1 --data my_data
    detkit evaluate --latest                          your newest run, on its own validation data
    detkit evaluate --data my_data --split test       the detector inside the package
    detkit evaluate runs/first-1 --data VOCdevkit/VOC2012 --split val --metric voc
    detkit evaluate fasterrcnn_resnet50_fpn --data my_data/data.yaml --rename tvmonitor=tv
    detkit evaluate runs/first-1 --data my_data --pyramid 0.5 1 2
    detkit evaluate runs/second-1 --data my_data --against runs/first-1
    detkit evaluate --annotations instances_val.json --results results.json

Without --data, a run is evaluated on the data that it was validated on. The data's classes must be among the detector's, by name (after
--rename); detections of other classes are skipped and counted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.evaluate.jobs import VOC_RULES, DetectorJob, FileJob
from detkit.cli.flags import MODEL_HELP, add_device_flags, add_flags, parse_number
from detkit.cli.outputs import Outputs
from detkit.cli.pyramid import add_pyramid_arguments, check_pyramid_arguments
from detkit.cli.report import duration, memory_line
from detkit.cli.resolve import resolve_model
from detkit.machine import peak_memory
from detkit.weights import embedded_path

if TYPE_CHECKING:
    from detkit.evaluation.compare import Difference
    from detkit.evaluation.details import Details

_ONLY_WITH_A_DETECTOR = ("model", "latest", "data", "images", "split", "val_fraction", "trained_on", "rename", "classes", "pyramid", "flip")

_STEPS = {"loading": "loading", "detecting": "detecting", "judging": "computing the metrics"}
"""How the steps of an evaluation, keys of the JSON file, are printed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit evaluate``."""
    parser.add_argument("model", nargs="?", metavar="MODEL", help=f"the detector: {MODEL_HELP} (default: embedded)")
    add_flags(parser, "--latest", "--data", "--images")
    add_flags(parser, "--split", help="part of the data (default: val, else test, if the data has such parts)")
    add_flags(
        parser, "--val-fraction", help="of --data, evaluate only the part that training with the same --val-fraction keeps for validation"
    )
    parser.add_argument(
        "--trained-on", action="store_true", help="with --val-fraction: the other images, to see how much the detector has memorized"
    )
    add_flags(parser, "--rename", "--classes")
    add_flags(parser, "--annotations", help="COCO annotations: evaluate the file of --results against them, without a detector")
    parser.add_argument("--results", metavar="FILE", help="COCO results: read with --annotations, written otherwise")
    parser.add_argument(
        "--metric", choices=("coco", *VOC_RULES), default="coco", help="coco (default), voc07 (11-point AP) or voc (all-point AP)"
    )
    parser.add_argument("--iou", nargs="+", type=_iou, default=[0.5], metavar="T", help="IoU thresholds of the VOC metrics (default: 0.5)")
    parser.add_argument(
        "--evaluator", choices=("hotcoco", "pycocotools"), default="hotcoco", help="library for the COCO metric; pycocotools is slower"
    )
    parser.add_argument(
        "--details", action="store_true", help="also report operating points, kinds of error (TIDE), confusions and the worst images"
    )
    parser.add_argument(
        "--against",
        metavar="OTHER",
        help="also report the difference from another detector, or from a COCO results file (.json), with 95 %% "
        "intervals from 2,000 bootstrap resamples of the images",
    )
    add_flags(parser, "--json", help="write all numbers as JSON")
    add_device_flags(parser, precision="fp32")
    add_pyramid_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print and write."""
    _check(args)
    with Outputs(args, "json", *(() if args.annotations else ("results",))) as outputs:
        return _evaluate(args, outputs)


def _evaluate(args: argparse.Namespace, outputs: Outputs) -> int:
    from detkit.checkpoint import write_text

    if not args.annotations and _is_classifier(args):
        from detkit.cli.evaluate.classifier import evaluate_images

        return evaluate_images(args, outputs)
    job = FileJob(args) if args.annotations else DetectorJob(args)
    numbers = job.numbers()
    if isinstance(job, DetectorJob):
        outputs.write("results", job.evaluator.write_results)
    details = job.details() if args.details else None
    against = job.against(args.against) if args.against else ()
    _print(args, numbers, details, against, job)
    outputs.write("json", lambda path: write_text(path, _as_json(args, numbers, details, against, job)))
    if outputs.written:
        print(f"written: {', '.join(outputs.written)}")
    return 0


def _is_classifier(args: argparse.Namespace) -> bool:
    """Whether the model is a classifier of whole images.

    Raises:
        ValueError: If there is no data to evaluate on: the detector inside the package records none.
    """
    model, _ = resolve_model(args.model, args.latest)
    if args.data is None and model == embedded_path():
        raise ValueError(
            "no data to evaluate on: the detector inside the package records no validation data; give labeled images with --data PATH, "
            "or evaluate your newest run on its own validation data with --latest"
        )
    from detkit.experiment.evaluation_run import is_classifier

    return is_classifier(model)


def _iou(text: str) -> float:
    return parse_number(text, lambda value: 0 < value <= 1, "numbers above 0 and at most 1, such as 0.5 0.75;")


def _check(args: argparse.Namespace) -> None:
    """Refuse flags that do not go together, before any work.

    Raises:
        ValueError: If two flags contradict each other, or one needs another.
    """
    if args.annotations:
        given = [name for name in _ONLY_WITH_A_DETECTOR if getattr(args, name)]
        if given:
            flag = given[0] if given[0] == "model" else f"--{given[0].replace('_', '-')}"
            raise ValueError(
                f"--annotations evaluates a results file without a detector, so it cannot be combined with {flag}; leave out one of them"
            )
        if not args.results:
            raise ValueError("--annotations needs --results FILE, the COCO results to evaluate")
    elif args.results and Path(args.results).exists() and not args.data:
        raise ValueError(
            f"--results {args.results} exists: to evaluate it, add --annotations FILE; to overwrite it, add --data PATH or remove the file"
        )
    if args.val_fraction and not args.data:
        raise ValueError("--val-fraction needs --data PATH, which it splits; without --data, a run is evaluated on its own validation data")
    if args.trained_on and not args.val_fraction:
        raise ValueError("--trained-on needs --val-fraction F: it evaluates the images that F leaves for training")
    if args.against and args.metric != "coco":
        raise ValueError(f"--against compares COCO metrics, so it cannot be combined with --metric {args.metric}; leave out one of them")
    if args.against and args.annotations and not args.against.endswith(".json"):
        raise ValueError(f"--against {args.against}: with --annotations, expected another COCO results file ending in .json")
    check_pyramid_arguments(args)


def _print(
    args: argparse.Namespace, numbers: Any, details: Details | None, against: Sequence[Difference], job: FileJob | DetectorJob
) -> None:
    from detkit.cli.evaluate.text import against_text, coco_text, counts_text, details_text, voc_text

    coco = args.metric == "coco"
    print(f"\n{coco_text(numbers) if coco else voc_text(numbers)}")
    if details is not None:
        print(f"\n{details_text(details)}")
    if args.against:
        print(f"\n{against_text(args.against, against)}")
    print()
    for line in counts_text(numbers.counts, "crowds" if coco else "difficult objects or crowds", job.left_out):
        print(line)
    times = ", ".join(f"{_STEPS[step]} {duration(seconds)}" for step, seconds in job.seconds.items())
    per_image = job.seconds.get("detecting", 0) / numbers.counts.images
    print(f"{times}{f' ({1000 * per_image:.0f} ms per image)' if per_image else ''}; {memory_line()}")


def _as_json(
    args: argparse.Namespace, numbers: Any, details: Details | None, against: Sequence[Difference], job: FileJob | DetectorJob
) -> str:
    from detkit.about import __version__

    peak = peak_memory()
    content = {
        "detkit": __version__,
        **job.metadata,
        **numbers.to_dict(),
        **({"details": details.to_dict()} if details is not None else {}),
        **({"against": {"other": args.against, "numbers": [row.to_dict() for row in against]}} if args.against else {}),
        "left_out_classes": dict(job.left_out),
        "seconds": {step: round(seconds, 3) for step, seconds in job.seconds.items()},
        "peak_memory_bytes": peak[0] if peak is not None else None,
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"

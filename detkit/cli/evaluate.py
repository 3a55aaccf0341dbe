"""Score a detector on labeled images, or a file of results against a file of ground truth.

    detkit evaluate runs/first-1/best.safetensors --data instances_val.json --images images
    detkit evaluate runs/first-1 --data VOCdevkit/VOC2012 --split val --metric voc
    detkit evaluate fasterrcnn_resnet50_fpn --data my_data/data.yaml --rename tvmonitor=tv
    detkit evaluate
    detkit evaluate runs/first-1 --pyramid 0.5 1 2
    detkit evaluate runs/second-1 --against runs/first-1
    detkit evaluate --annotations instances_val.json --results results.json

Without a detector it takes the newest run's best, or else the one inside the package; without --data, what that run was validated on.
The data's classes must be among the detector's, by name (after --rename); detections of other classes are left out and counted. Numbers are
computed in fp32 unless told.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.arguments import add_device_arguments
from detkit.cli.evaluate_jobs import VOC_RULES, DetectorJob, FileJob, overlaps
from detkit.cli.outputs import Outputs
from detkit.cli.pyramid import add_pyramid_arguments, check_pyramid_arguments
from detkit.cli.report import duration, memory_line
from detkit.machine import peak_memory

if TYPE_CHECKING:
    from detkit.evaluation.compare import Difference
    from detkit.evaluation.details import Details

_ONLY_WITH_A_DETECTOR = ("weights", "data", "images", "split", "val_fraction", "trained_on", "map", "classes", "pyramid", "flip")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``detkit evaluate``."""
    parser.add_argument("weights", nargs="?", metavar="WEIGHTS", help="a checkpoint, a run's folder, or a name that 'detkit weights' lists")
    parser.add_argument("--data", metavar="PATH", help="a COCO JSON file, a VOC folder, or a YOLO data.yaml")
    parser.add_argument("--images", metavar="DIR", help="the folder of the images, if it is not where the labels say")
    parser.add_argument("--split", metavar="NAME", help="which part of the data (default: val, or else test, if it has such parts)")
    parser.add_argument(
        "--val-fraction", metavar="F", help="of --data only the part that 'detkit train data.val_fraction=F' keeps for validation"
    )
    parser.add_argument(
        "--trained-on", action="store_true", help="with --val-fraction: the other images, to see how much a detector knows by heart"
    )
    parser.add_argument("--rename", action="append", metavar="A=B", help="the data's class A is the detector's class B; may be given again")
    parser.add_argument("--classes", action="append", metavar="A,B", help="judge only these classes")
    parser.add_argument("--annotations", metavar="FILE", help="judge the file of --results against this COCO file, without a detector")
    parser.add_argument("--results", metavar="FILE", help="COCO results: read with --annotations, else written")
    parser.add_argument("--metric", choices=("coco", *VOC_RULES), default="coco", help="voc07 is VOC's 11-point AP, voc its all-point AP")
    parser.add_argument("--iou", default="0.5", metavar="T,T", help="IoU thresholds of the VOC metrics (default: %(default)s)")
    parser.add_argument(
        "--evaluator", choices=("hotcoco", "pycocotools"), default="hotcoco", help="of the COCO metric; pycocotools is the slow reference"
    )
    parser.add_argument("--details", action="store_true", help="also where it goes wrong: best scores to cut at, kinds of error, mix-ups")
    parser.add_argument(
        "--against",
        metavar="OTHER",
        help="also how much better it is than another detector, or than a file of COCO results (.json), on these images, and how sure "
        "that is: 95 %% intervals from 2,000 draws of images",
    )
    parser.add_argument("--json", metavar="FILE", help="write all numbers")
    add_device_arguments(parser, precision="fp32")
    add_pyramid_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print, write."""
    _check(args)
    with Outputs(args, "json", *(() if args.annotations else ("results",))) as outputs:
        return _evaluate(args, outputs)


def _evaluate(args: argparse.Namespace, outputs: Outputs) -> int:
    from detkit.checkpoint import write_text

    if not args.annotations and _is_classifier(args):
        from detkit.cli.evaluate_classifier import judge_images

        return judge_images(args, outputs)
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
    from detkit.experiment.evaluation_run import is_classifier

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
    if args.trained_on and not args.val_fraction:
        raise ValueError("--trained-on means the images that --val-fraction F leaves for training; give that too")
    if args.against and args.metric != "coco":
        raise ValueError(f"--against compares COCO's numbers, so it does not go with --metric {args.metric}")
    if args.against and args.annotations and not args.against.endswith(".json"):
        raise ValueError(f"--against {args.against}: beside --annotations expected another file of COCO results, ending in .json")
    overlaps(args)
    check_pyramid_arguments(args)


def _print(
    args: argparse.Namespace, numbers: Any, details: Details | None, against: Sequence[Difference], job: FileJob | DetectorJob
) -> None:
    from detkit.cli.evaluation_text import against_text, coco_text, counts_text, details_text, voc_text

    coco = args.metric == "coco"
    print(f"\n{coco_text(numbers) if coco else voc_text(numbers)}")
    if details is not None:
        print(f"\n{details_text(details)}")
    if args.against:
        print(f"\n{against_text(args.against, against)}")
    print()
    for line in counts_text(numbers.counts, "crowds" if coco else "difficult objects or crowds", job.left_out):
        print(line)
    times = ", ".join(f"{what} {duration(seconds)}" for what, seconds in job.seconds.items())
    each = job.seconds.get("detecting", 0) / numbers.counts.images
    print(f"{times}{f' ({1000 * each:.0f} ms a image)' if each else ''}; {memory_line()}")


def _as_json(
    args: argparse.Namespace, numbers: Any, details: Details | None, against: Sequence[Difference], job: FileJob | DetectorJob
) -> str:
    from detkit import __version__

    peak = peak_memory()
    content = {
        "detkit": __version__,
        **job.about,
        **numbers.to_dict(),
        **({"details": details.to_dict()} if details is not None else {}),
        **({"against": {"other": args.against, "numbers": [row.to_dict() for row in against]}} if args.against else {}),
        "left_out_classes": dict(job.left_out),
        "seconds": {what: round(seconds, 3) for what, seconds in job.seconds.items()},
        "peak_memory_bytes": peak[0] if peak is not None else None,
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"

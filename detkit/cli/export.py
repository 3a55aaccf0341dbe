"""Write a one-stage detector to an ONNX file, and tell whether the file says the same as the detector.

    detkit export runs/light-1 --output light.onnx
    detkit detect photo.jpg --weights light.onnx

onnxruntime runs such a file on the CPU; small detectors are faster in it. The file takes images of any size that the strides divide,
or of the one size that the detector takes, as many at a time as --batch-size says. It gives a score for every class and a box at every
place: scores, boxes, and how many of the places each level has. The choice among them, the resizing of images and the names of the
classes are told in its metadata, under "detkit"; detkit reads them from there. Nothing is written where the two differ by more than
rounding.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from detkit.cli.inputs import images_or_sample
from detkit.cli.outputs import check_file
from detkit.cli.report import MEGABYTE, count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``detkit export``."""
    parser.add_argument(
        "weights",
        nargs="?",
        metavar="NAME|FILE",
        help="a checkpoint, a run's folder, or a name that 'detkit weights' lists (default: what 'detkit detect' would take)",
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="the file to write (.onnx)")
    parser.add_argument(
        "--images", nargs="+", default=[], metavar="IMAGE", help="images, folders or patterns to compare the two on (default: a cat)"
    )
    parser.add_argument(
        "--batch-size", type=int, default=1, metavar="N", help="images that the file takes at a time (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Write, compare, tell."""
    from detkit.export import export_onnx
    from detkit.inference import choose_weights, load, suggested_min_score

    if args.batch_size < 1:
        raise ValueError(f"--batch-size: expected 1 or more, got {args.batch_size}")
    check_file("--output", args.output)
    files = images_or_sample(args.images)
    weights, reason = choose_weights(args.weights)
    predictor = load(weights, "cpu", "fp32", reference=True)
    print(f"weights: {weights} ({reason})")
    found = export_onnx(predictor, args.output, files, args.batch_size, min_score=suggested_min_score(weights))
    print(f"written: {args.output}, {Path(args.output).stat().st_size / MEGABYTE:.1f} MiB")
    print(f"compared on {count(found.images, 'image', 'images')}: scores differ by at most {found.score:.1e}, ", end="")
    print(f"boxes by {found.box:.1e} pixels; {found.matched} of {count(found.detections, 'detection', 'detections')} the same")
    return 0

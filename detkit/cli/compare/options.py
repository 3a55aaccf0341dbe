"""The flags of ``detkit compare``, and the options that they fill."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

from detkit.cli.flags import add_flags
from detkit.cli.values import fraction, positive

SUITES = ("classics", "fast", "accurate", "all")


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """Options of ``detkit compare``.

    Attributes:
        words: Configs, runs, checkpoints, exported files and results files; or one ``compare.json``; and config keys for all trainings.
        suite: A named set of configs.
        data: Labeled data.
        images: Folder of the images of ``data``.
        budget: Core-minutes of each training.
        steps: Steps of each training, instead of a budget.
        seeds: Trainings of each config; None: the default.
        init: Initial weights of all trainings; None: as configured.
        backbone: Backbone of all trainings; None: as configured.
        val_fraction: Fraction of the images for validation; None: the default.
        test_fraction: Fraction of the images for testing; None: the default.
        halving: Whether the worse half is stopped early.
        fractions: Fractions of the training images; None: all images.
        gate: Limits for the differences from the first detector.
        no_report: Whether no report is written.
        dry_run: Whether only the plan and its price are printed.
        jobs: Trainings at a time.
        output: Folder of the comparison; None: a new one.
        resume: Folder of the comparison to continue; empty: the newest one.
        device: Name of the device.
        precision: Number format of evaluations; None: the default.
        runtime: Runtime of evaluations and of the measured times; None: the default.
    """

    words: tuple[str, ...] = ()
    suite: str | None = None
    data: str | None = None
    images: str | None = None
    budget: float | None = None
    steps: int | None = None
    seeds: int | None = None
    init: str | None = None
    backbone: str | None = None
    val_fraction: float | None = None
    test_fraction: float | None = None
    halving: bool = False
    fractions: tuple[float, ...] | None = None
    gate: str | None = None
    no_report: bool = False
    dry_run: bool = False
    jobs: int = 1
    output: str | None = None
    resume: str | None = None
    device: str = "auto"
    precision: str | None = None
    runtime: str | None = None


def add_compare_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit compare``."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="THING",
        help="a config, which is trained first; or a run, a checkpoint, an exported file or COCO results, evaluated as they are; "
        "NAME:key=value trains a variant of a config, and key=value applies to all trainings",
    )
    parser.add_argument("--suite", choices=SUITES, help="a set of configs: classics has 14 detectors, from R-CNN to D-FINE")
    add_flags(parser, "--data", "--images")
    _add_training_flags(parser)
    parser.add_argument("--halving", action="store_true", help="stop the worse half after a quarter of the training, and after a half")
    parser.add_argument(
        "--fractions",
        type=_fractions,
        metavar="F,F",
        help="train on nested fractions of the images, such as 1/8,1/4,1/2,1, and fit a curve",
    )
    parser.add_argument(
        "--gate",
        metavar="METRIC=LIMIT",
        help="exit with code 1 if a metric is lower than that of the first detector by more than a limit: ap=-0.005,ap50:person=-0.01",
    )
    add_flags(parser, "--no-report", help="write no report.html")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and its price, and stop")
    parser.add_argument("--jobs", type=positive, metavar="N", help="trainings at a time, with one thread each (default: 1)")
    add_flags(parser, "--output", help="folder of the comparison; one that is there is continued (default: runs/compare-N)")
    add_flags(parser, "--resume", help="continue the comparison in this folder, with its own copy of the plan (default: your newest one)")
    add_flags(parser, "--device")
    add_flags(parser, "--precision", help="number format of the evaluations (default: auto)")
    add_flags(parser, "--runtime")


def _add_training_flags(parser: argparse.ArgumentParser) -> None:
    length = parser.add_mutually_exclusive_group()
    add_flags(length, "--budget", help="core-minutes of each training, validation included (default: 10)")
    length.add_argument("--steps", type=positive, metavar="N", help="steps of each training, instead of a budget")
    parser.add_argument("--seeds", type=positive, metavar="N", help="trainings of each config (default: 3)")
    parser.add_argument("--init", choices=("imagenet", "coco", "scratch"), help="initial weights of all trainings (default: as configured)")
    parser.add_argument("--backbone", metavar="NAME", help="backbone of all trainings (default: as configured)")
    add_flags(parser, "--val-fraction", help="fraction of the images for validation, if the data has no such split (default: 0.15)")
    parser.add_argument(
        "--test-fraction",
        type=fraction,
        metavar="F",
        help="fraction of the images for testing, if the data has no such split (default: 0.15)",
    )


def _fractions(text: str) -> tuple[float, ...]:
    """Parse fractions such as ``1/8,0.5,1``; 1 is always among them."""
    values = {1.0}
    for part in text.split(","):
        over, slash, under = part.partition("/")
        try:
            value = float(over) / float(under) if slash else float(over)
        except (ValueError, ZeroDivisionError):
            value = math.nan
        if not 0 < value <= 1:
            raise argparse.ArgumentTypeError(f"expected fractions above 0 and up to 1, such as 1/8,1/4,1/2,1; got {part!r}")
        values.add(value)
    return tuple(sorted(values))

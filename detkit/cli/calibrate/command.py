"""Find the scores from which detections are used, for a precision, a recall or a number of false alarms, and keep them in a new file.

    detkit calibrate runs/first-1                                        the scores with the best F1, on its own validation data
    detkit calibrate runs/first-1 --data my_data --target precision=.9   as many detections as possible, of which 9 in 10 are correct
    detkit calibrate runs/first-1 --data my_data --target recall=.8      as few detections as possible that show 8 in 10 objects
    detkit calibrate cells.onnx --data my_data --target false-alarms-per-image=.1

Each class gets its own score, the one that meets the target for this class at IoU .5. All classes together get one too. A score looks
better on the images that it was chosen on than on others, so it must exceed the target by half a standard error. The intervals in the table
hold 95 % of the values that as many new images of the same kind would give; they come from resampling images, not single detections. Use
images that the detector was not trained on.

The file is a copy of the detector with these scores. `detkit detect`, labels, detkit.load and exported files use them; --min-score
overrides them, and evaluation is never limited by them. A class that does not reach the target at any score is named and gets no score of
its own: its detections are reported from the score of all classes on. If all classes together do not reach the target, the score of all
classes is that of the best F1. Leave out the classes that you do not want with `detkit detect --classes`.

The default name of the file is that of the detector with the target, in its folder: best_precision_0.9.safetensors. No file is ever
overwritten.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.evaluate.options import EvaluateOptions, LabeledOptions
from detkit.cli.flags import MODEL_HELP, add_flags
from detkit.cli.options import bind
from detkit.cli.outputs import Outputs, check_file, write_output
from detkit.cli.points import points_text
from detkit.cli.pyramid import PyramidOptions, add_pyramid_arguments, check_pyramid_options
from detkit.cli.report import duration, memory_line
from detkit.printable import printable
from detkit.weights import embedded_path

if TYPE_CHECKING:
    from detkit.checkpoint.operating_points import OperatingPoints
    from detkit.cli.evaluate.jobs import DetectorJob


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions(LabeledOptions, PyramidOptions):
    """Options of ``detkit calibrate``.

    Attributes:
        target: The target, such as ``precision=0.9``.
        output: The new file; None: next to the detector.
        json: File of the points as JSON.
    """

    target: str = "f1"
    output: str | None = None
    json: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit calibrate``."""
    parser.add_argument("model", nargs="?", metavar="MODEL", help=f"the detector: {MODEL_HELP} (default: embedded)")
    add_flags(parser, "--latest", "--data", "--images")
    add_flags(parser, "--split", help="part of the data (default: val, else test, if the data has such parts)")
    add_flags(parser, "--val-fraction", help="of --data, use only the part that training with the same --val-fraction keeps for validation")
    add_flags(parser, "--rename")
    add_flags(parser, "--classes", help="find the scores of these classes only")
    parser.add_argument(
        "--target",
        metavar="TARGET",
        help="f1 (best F1), precision=P, recall=R, or false-alarms-per-image=N, of each class by itself (default: %(default)s)",
    )
    add_flags(parser, "--output", help="the new file (default: the detector's name with the target, in its folder)")
    add_flags(parser, "--json", help="write the scores, numbers and intervals as JSON")
    add_flags(parser, "--device", "--precision", "--runtime", "--threads", "--proposals-cache")
    add_pyramid_arguments(parser)
    bind(parser, CalibrateOptions, run)


def run(options: CalibrateOptions) -> int:
    """Detect, find the scores, print them and write the file."""
    from detkit.checkpoint.recalibrate import check_new
    from detkit.cli.evaluate.jobs import DetectorJob
    from detkit.cli.resolve import resolve_model
    from detkit.evaluation.analysis.fitting import fit_operating_points
    from detkit.evaluation.analysis.target import Target
    from detkit.experiment.calibration import calibratable, default_output, write_calibrated

    check_pyramid_options(options)
    try:
        target = Target.parse(options.target)
    except ValueError as error:
        raise ValueError(f"--target: {error}") from None
    model, _ = resolve_model(options.model, options.latest)
    suffix = calibratable(model).suffix
    output = default_output(model, target) if options.output is None else Path(options.output)
    if output.suffix != suffix:
        raise ValueError(f"--output {output}: expected a file name ending in {suffix}, as the detector's")
    check_new(output)
    check_file("--output", output)
    if options.data is None and model == embedded_path():
        raise ValueError("the detector inside the package records no validation data; give labeled images with --data PATH")
    shared = {item.name for options_type in (LabeledOptions, PyramidOptions) for item in fields(options_type)}
    evaluation = EvaluateOptions(**{name: getattr(options, name) for name in sorted(shared)})
    with Outputs({"json": options.json}) as outputs:
        job = DetectorJob(evaluation)
        truth, results = job.evaluator.ground_truth, job.evaluator.table()
        points = fit_operating_points(truth, results, target, data=job.data.name, split=options.split)
        write_calibrated(model, output, points)
        _print(job, points, output)
        outputs.write("json", lambda path: write_output(path, json.dumps(points.to_dict(), ensure_ascii=False, indent=1) + "\n"))
        print(f"written: {', '.join(map(printable, (output, *outputs.written)))}")
    return 0


def _print(job: DetectorJob, points: OperatingPoints, output: Path) -> None:
    print(f"\n{points_text(points)}\n")
    times = f"loading {duration(job.seconds['loading'])}, detecting {duration(job.seconds['detecting'])}"
    print(f"{times}; {memory_line()}")
    print(f"use them with: detkit detect photo.jpg --model {printable(output)}")

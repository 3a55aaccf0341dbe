"""Evaluate a detector on labeled images, or a results file against annotations.

    detkit evaluate runs/first-1 --data my_data
    detkit evaluate --latest                          your newest run, on its own validation data
    detkit evaluate --data my_data --split test       the detector inside the package
    detkit evaluate runs/first-1 --data VOCdevkit/VOC2012 --split val --metric voc
    detkit evaluate fasterrcnn_resnet50_fpn --data my_data/data.yaml --rename tvmonitor=tv
    detkit evaluate runs/first-1 --data my_data --pyramid 0.5 1 2
    detkit evaluate runs/second-1 --data my_data --against runs/first-1
    detkit evaluate runs/first-1 --data my_data --at-operating-point
    detkit evaluate --annotations instances_val.json --results results.json --images val
    detkit evaluate --annotations gt.txt --results tracks.txt --metric hota

Every evaluation writes a report, one HTML file that opens offline: numbers with intervals, curves, confusion matrix, calibration, and the
worst mistakes as crops. Leave it out with --no-report.

Without --data, a run is evaluated on the data that it was validated on. The data's classes must be among the detector's, by name (after
--rename); detections of other classes are skipped and counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from detkit.cli.evaluate.analysis import Analyzed, analyzed, json_parts, report
from detkit.cli.evaluate.jobs import DetectorJob, FileJob
from detkit.cli.evaluate.options import TRACKS_METRIC, EvaluateOptions, add_evaluate_flags, check_evaluate_options
from detkit.cli.evaluate.report import wants_report
from detkit.cli.evaluate.tracks import evaluate_tracks
from detkit.cli.options import bind
from detkit.cli.outputs import Outputs, write_output
from detkit.cli.report import duration, memory_line
from detkit.cli.resolve import resolve_model
from detkit.machine import peak_memory
from detkit.printable import printable_message
from detkit.weights import embedded_path

if TYPE_CHECKING:
    from detkit.evaluation.compare import Difference
    from detkit.evaluation.details import Details

_STEPS = {"loading": "loading", "detecting": "detecting", "judging": "computing the metrics"}
"""How the steps of an evaluation, keys of the JSON file, are printed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit evaluate``."""
    add_evaluate_flags(parser)
    bind(parser, EvaluateOptions, run)


def run(options: EvaluateOptions) -> int:
    """Evaluate, print and write."""
    check_evaluate_options(options)
    results = None if options.annotations else options.results
    with Outputs({"json": options.json, "results": results, "report": options.report}) as outputs:
        return _evaluate(options, outputs)


def _evaluate(options: EvaluateOptions, outputs: Outputs) -> int:
    if options.metric == TRACKS_METRIC:
        return evaluate_tracks(options, outputs)
    if not options.annotations and (evaluate_other := _other_task(options)):
        return evaluate_other(options, outputs)
    job = FileJob(options) if options.annotations else DetectorJob(options)
    numbers = job.numbers()
    if isinstance(job, DetectorJob):
        outputs.write("results", job.evaluator.write_results)
    details = job.details() if options.details else None
    against = job.against(options.against) if options.against else ()
    _print(options, numbers, details, against, job)
    result = _analyzed(options, job)
    wants = wants_report(options.report, options.no_report)
    more: dict[str, Any] = json_parts(result, wants) if options.json is not None else {}
    more |= _print_at_points(options, job) if options.at_operating_point else {}
    outputs.write("json", lambda path: write_output(path, _as_json(options, numbers, details, against, job, more)))
    if result is not None and wants:
        report(options, job, result, outputs)
    if outputs.written:
        print(f"written: {', '.join(outputs.written)}")
    if result is None and options.report is not None:
        raise ValueError(f"--report {options.report}: not written, as the detections could not be analyzed")
    return 0


def _print_at_points(options: EvaluateOptions, job: FileJob | DetectorJob) -> dict[str, Any]:
    """Print the numbers of what detect reports, and return them as a key of the JSON file."""
    from detkit.cli.evaluate.points import at_points, points_dict, points_text

    points = at_points(options, job)
    print(f"\n{points_text(*points)}")
    return {"at_operating_point": points_dict(*points)}


def _analyzed(options: EvaluateOptions, job: FileJob | DetectorJob) -> Analyzed | None:
    """Analyze the detections for a report or ``--details``; an error costs what shows the analysis, and nothing else."""
    if not options.details and not wants_report(options.report, options.no_report):
        return None
    try:
        return analyzed(job)
    except (OSError, ValueError, MemoryError) as error:
        print(f"detkit: warning: no analysis and no report: {printable_message(error)}", file=sys.stderr)
        return None


def _other_task(options: EvaluateOptions) -> Callable[[EvaluateOptions, Outputs], int] | None:
    """Return the evaluation of a model that classifies whole images or pixels; None for a detector.

    Raises:
        ValueError: If there is no data to evaluate on: the detector inside the package records none.
    """
    model, _ = resolve_model(options.model, options.latest)
    if options.data is None and model == embedded_path():
        raise ValueError(
            "no data to evaluate on: the detector inside the package records no validation data; give labeled images with --data PATH, "
            "or evaluate your newest run on its own validation data with --latest"
        )
    from detkit.cli.evaluate.classifier import evaluate_images
    from detkit.cli.evaluate.segmenter import evaluate_pixels
    from detkit.experiment.evaluation_run import predicted_by

    return {"objects": None, "classes": evaluate_images, "pixels": evaluate_pixels}[predicted_by(model)]


def _print(
    options: EvaluateOptions, numbers: Any, details: Details | None, against: Sequence[Difference], job: FileJob | DetectorJob
) -> None:
    from detkit.cli.evaluate.text import against_text, coco_text, counts_text, details_text, voc_text

    coco = options.metric == "coco"
    print(f"\n{coco_text(numbers) if coco else voc_text(numbers)}")
    if details is not None:
        print(f"\n{details_text(details)}")
    if options.against:
        print(f"\n{against_text(options.against, against)}")
    print()
    for line in counts_text(numbers.counts, "crowds" if coco else "difficult objects or crowds", job.left_out):
        print(line)
    times = ", ".join(f"{_STEPS[step]} {duration(seconds)}" for step, seconds in job.seconds.items())
    per_image = job.seconds.get("detecting", 0) / numbers.counts.images
    print(f"{times}{f' ({1000 * per_image:.0f} ms per image)' if per_image else ''}; {memory_line()}")


def _as_json(
    options: EvaluateOptions,
    numbers: Any,
    details: Details | None,
    against: Sequence[Difference],
    job: FileJob | DetectorJob,
    more: Mapping[str, Any],
) -> str:
    from detkit.about import __version__

    peak = peak_memory()
    content = {
        "detkit": __version__,
        **job.metadata,
        **numbers.to_dict(),
        **({"details": details.to_dict()} if details is not None else {}),
        **more,
        **({"against": {"other": options.against, "numbers": [row.to_dict() for row in against]}} if options.against else {}),
        "left_out_classes": dict(job.left_out),
        "seconds": {step: round(seconds, 3) for step, seconds in job.seconds.items()},
        "peak_memory_bytes": peak[0] if peak is not None else None,
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"

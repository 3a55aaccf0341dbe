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
from typing import TYPE_CHECKING, Any

from detkit.cli.evaluate.jobs import DetectorJob, FileJob
from detkit.cli.evaluate.options import EvaluateOptions, add_evaluate_flags, check_evaluate_options
from detkit.cli.options import bind
from detkit.cli.outputs import Outputs, write_output
from detkit.cli.report import duration, memory_line
from detkit.cli.resolve import resolve_model
from detkit.machine import peak_memory
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
    with Outputs({"json": options.json, "results": None if options.annotations else options.results}) as outputs:
        return _evaluate(options, outputs)


def _evaluate(options: EvaluateOptions, outputs: Outputs) -> int:
    if not options.annotations and _is_classifier(options):
        from detkit.cli.evaluate.classifier import evaluate_images

        return evaluate_images(options, outputs)
    job = FileJob(options) if options.annotations else DetectorJob(options)
    numbers = job.numbers()
    if isinstance(job, DetectorJob):
        outputs.write("results", job.evaluator.write_results)
    details = job.details() if options.details else None
    against = job.against(options.against) if options.against else ()
    _print(options, numbers, details, against, job)
    outputs.write("json", lambda path: write_output(path, _as_json(options, numbers, details, against, job)))
    if outputs.written:
        print(f"written: {', '.join(outputs.written)}")
    return 0


def _is_classifier(options: EvaluateOptions) -> bool:
    """Whether the model is a classifier of whole images.

    Raises:
        ValueError: If there is no data to evaluate on: the detector inside the package records none.
    """
    model, _ = resolve_model(options.model, options.latest)
    if options.data is None and model == embedded_path():
        raise ValueError(
            "no data to evaluate on: the detector inside the package records no validation data; give labeled images with --data PATH, "
            "or evaluate your newest run on its own validation data with --latest"
        )
    from detkit.experiment.evaluation_run import is_classifier

    return is_classifier(model)


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
    options: EvaluateOptions, numbers: Any, details: Details | None, against: Sequence[Difference], job: FileJob | DetectorJob
) -> str:
    from detkit.about import __version__

    peak = peak_memory()
    content = {
        "detkit": __version__,
        **job.metadata,
        **numbers.to_dict(),
        **({"details": details.to_dict()} if details is not None else {}),
        **({"against": {"other": options.against, "numbers": [row.to_dict() for row in against]}} if options.against else {}),
        "left_out_classes": dict(job.left_out),
        "seconds": {step: round(seconds, 3) for step, seconds in job.seconds.items()},
        "peak_memory_bytes": peak[0] if peak is not None else None,
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"

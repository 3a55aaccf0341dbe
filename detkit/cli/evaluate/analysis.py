"""The analysis of an evaluation for its JSON file and its report, and what the report says about it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.about import __version__
from detkit.cli.command_line import command_line
from detkit.cli.evaluate.jobs import DetectorJob, FileJob
from detkit.cli.evaluate.options import EvaluateOptions, add_evaluate_flags
from detkit.cli.evaluate.report import emit_report, report_title, run_of
from detkit.cli.outputs import Outputs

if TYPE_CHECKING:
    from detkit.evaluation.analysis.analysis import Analysis
    from detkit.evaluation.ground_truth import GroundTruth
    from detkit.report.evaluation import WrittenReport
    from detkit.report.subject import Subject

OUTPUTS = ("json", "report", "results", "no_report")
_PACKAGES = ("torch", "hotcoco", "numpy")


@dataclass(frozen=True, eq=False)
class Analyzed:
    """An analysis with the ground truth that it was computed with."""

    truth: GroundTruth
    analysis: Analysis


def analyzed(job: FileJob | DetectorJob) -> Analyzed:
    """Analyze the detections of a job; the time is added to its seconds."""
    from detkit.evaluation.analysis import analyze

    start = time.perf_counter()
    truth, results = job.truth_and_results()
    analysis = analyze(truth, results)
    if job.segm is not None:
        analysis = replace(analysis, numbers=replace(analysis.numbers, segm=job.segm))
    result = Analyzed(truth, analysis)
    job.seconds["analyzing"] = time.perf_counter() - start
    return result


def json_parts(result: Analyzed | None, with_crops: bool) -> dict[str, Any]:
    """Return the keys of the JSON file about an analysis: all its numbers, and the cases that a report shows as crops, in its order."""
    from detkit.report.sections.selection import select_cases

    if result is None:
        return {}
    parts: dict[str, Any] = {"analysis": {"numbers": result.analysis.numbers.to_dict(), **result.analysis.to_dict()}}
    if with_crops:
        parts["crops"] = [asdict(result.analysis.cases[position]) for position in select_cases(result.analysis.cases)]
    return parts


def report(options: EvaluateOptions, job: FileJob | DetectorJob, result: Analyzed, outputs: Outputs) -> None:
    """Write the report, to the file of ``--report`` or into a new folder, and print where it is."""

    def make(path: str | Path) -> WrittenReport:
        from detkit.report.evaluation import evaluation_report

        return evaluation_report(_subject(options, job, result), path)

    model = job.metadata.get("model")
    emit_report(options.report, outputs, None if model is None else run_of(model), make)


def _subject(options: EvaluateOptions, job: FileJob | DetectorJob, result: Analyzed) -> Subject:
    from detkit.report.masks import with_masks
    from detkit.report.subject import Subject

    analysis, images = with_masks(result.analysis, job.images(result.truth), job.masks())
    what, data = (job.metadata[key] for key in (("model", "data") if isinstance(job, DetectorJob) else ("results", "annotations")))
    left_out = {**result.truth.left_out, **{f"detections of class {name}": number for name, number in job.left_out.items()}}
    return Subject(
        report_title(what, data),
        analysis,
        result.truth,
        images,
        {**job.metadata, "versions": versions(), "left out": left_out},
        command_line("evaluate", add_evaluate_flags, _repeatable(options, job), OUTPUTS if isinstance(job, DetectorJob) else OUTPUTS[:2]),
    )


def _repeatable(options: EvaluateOptions, job: FileJob | DetectorJob) -> EvaluateOptions:
    """Return options that name the detector that was evaluated, even if it was the newest run."""
    return replace(options, model=str(job.metadata["model"]), latest=False) if isinstance(job, DetectorJob) else options


def versions() -> dict[str, str]:
    """Return the versions of detkit and of the packages that numbers depend on."""
    return {"detkit": __version__, **{name: metadata.version(name) for name in _PACKAGES}}

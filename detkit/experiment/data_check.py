"""The check of a run's data before its first step: labels and image headers, no pixels."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from detkit.data.checks import rules
from detkit.data.checks.findings import Finding, Severity
from detkit.data.checks.labels import check_labels
from detkit.data.checks.reading import reader_findings
from detkit.data.checks.report import CheckReport
from detkit.data.tiles import as_tiles
from detkit.diagnostics.model_limits import too_many_objects, unsuited_data
from detkit.experiment.build import RunImages
from detkit.experiment.config import Experiment
from detkit.training.process.distributed import Processes

_log = logging.getLogger(__name__)


class DataCheckError(ValueError):
    """Errors in the data of a run.

    Attributes:
        lines: One line for each error.
        advice: How to go on.
    """

    def __init__(self, lines: Sequence[str], advice: str) -> None:
        super().__init__("\n".join([*lines, advice]))
        self.lines, self.advice = tuple(lines), advice

    def __reduce__(self) -> tuple[type[DataCheckError], tuple[Sequence[str], str]]:
        return type(self), (self.lines, self.advice)


def check_before_training(config: Experiment, images: RunImages, processes: Processes) -> CheckReport | None:
    """Check the data of a new run in the first process, log its warnings, and stop all processes at errors.

    Returns:
        The report in the first process; None in others, and with ``data.check=off``.

    Raises:
        DataCheckError: If there are errors, with ``data.check=stop``.
    """
    if config.data.check == "off":
        return None
    report = run_report(config, images) if processes.first else None
    errors = processes.broadcast([finding.line() for finding in report.of(Severity.ERROR)] if report is not None else [])
    if errors and config.data.check == "stop":
        raise DataCheckError(errors, _advice(config, len(errors)))
    if report is not None:
        for line in (*errors, *(finding.line() for finding in report.of(Severity.WARNING))):
            _log.warning("warning: %s", line)
    return report


def run_report(config: Experiment, images: RunImages) -> CheckReport:
    """Return the report of the check of a run's data, with the limits of its model."""
    train, val = images.train, images.val
    parts = {"train": train, "val": val} if len(val) else {"train": train}
    report = check_labels(config.data.train.path, parts)
    if train.report is val.report:
        report = replace(report, findings=tuple(_of_random_division(finding) for finding in report.findings))
    more = [*reader_findings({f"unlabeled data {number}": data for number, data in enumerate(images.unlabeled, start=1)})]
    more += too_many_objects(config.model, "train", train if config.data.tiles is None else as_tiles(train, config.data.tiles))
    if config.weights is None:
        more += unsuited_data(config.model, "train", train)
    return report.with_findings(more)


def _of_random_division(finding: Finding) -> Finding:
    """Return a leak as a warning where detkit divided the images at random, as the data may have copies that nobody knows of."""
    return replace(finding, rule=rules.DIVIDED_COPY) if finding.rule is rules.LEAK else finding


def _advice(config: Experiment, count: int) -> str:
    errors = "1 error" if count == 1 else f"{count} errors"
    return (
        f"{errors} in the data, so the training did not start: mend them (detkit data check {config.data.train.path} shows all), or train "
        "anyway with data.check=warn"
    )

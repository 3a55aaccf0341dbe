"""The report at the end of ``detkit train``, from the detections that the validation kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.cli.evaluate.report import write_report
from detkit.cli.train.options import TrainOptions

if TYPE_CHECKING:
    from detkit.experiment import TrainResult
    from detkit.experiment.origin import ConfigOrigin
    from detkit.report.evaluation import WrittenReport


def write_run_report(options: TrainOptions, result: TrainResult, origin: ConfigOrigin | None, *, wanted: bool) -> None:
    """Record where the config of a run came from, and write its report if it is finished.

    Raises:
        OSError, ValueError: If the report was requested with ``--report`` and cannot be written.
    """
    from detkit.checkpoint.atomic import WriteError
    from detkit.experiment import origin as origins

    if origin is not None:
        try:
            origin.write(result.folder)
        except WriteError as error:
            print(f"warning: {error}")
    if result.interrupted or not wanted:
        return

    def write() -> WrittenReport:
        from detkit.report.runs import run_report

        return run_report(result.folder, options.report, origins.ConfigOrigin.read(result.folder).command)

    write_report(write, requested=options.report is not None)

"""The HTML report of ``detkit evaluate`` and ``detkit train``: whether, where, and what a failure costs."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.flags import add_flags
from detkit.cli.outputs import Outputs
from detkit.cli.report import count, duration
from detkit.printable import printable, printable_message

if TYPE_CHECKING:
    from detkit.report.evaluation import WrittenReport

NO_REPORT = "DETKIT_NO_REPORT"
"""Environment variable that turns reports off where no flag asks for one."""
FILE = "report.html"
_SHOWN_FAILURES = 3


def add_report_flags(parser: argparse.ArgumentParser, where: str) -> None:
    """Add ``--report`` and ``--no-report``; ``where`` is the default place in words."""
    add_flags(parser, "--report", help=f"write the HTML report to this file (default: {where})")
    add_flags(parser, "--no-report")


def wants_report(report: str | None, no_report: bool) -> bool:
    """Return whether a report is written.

    Raises:
        ValueError: If both flags are given.
    """
    if report is not None and no_report:
        raise ValueError(f"--report {report} and --no-report contradict each other; leave out one of them")
    return report is not None or not (no_report or os.environ.get(NO_REPORT))


def new_report_file(run: Path | None) -> Path:
    """Create the next free folder ``evaluate-N``, in the folder of a run or under ``runs``, and return the report's file in it.

    Raises:
        OSError: If no folder can be created there.
    """
    from detkit.training.folder import DEFAULT_ROOT, new_run_folder

    return new_run_folder("evaluate", root=DEFAULT_ROOT if run is None else str(run)).path / FILE


def report_title(model: object, data: object) -> str:
    """Return the title of a report: the run, or the name of the file, and the name of the data."""
    name = Path(str(data)).name
    return f"{Path(str(model)).name} on {name}" if (run := run_of(str(model))) is None else f"{run} on {name}"


def run_of(model: str | Path) -> Path | None:
    """Return the folder of the run that a model comes from; None for other models."""
    path = Path(model)
    folder = path if path.is_dir() else path.parent
    is_run = (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))
    return folder if is_run and path.exists() else None


def emit_report(requested: str | None, outputs: Outputs, run: Path | None, make: Callable[[str | Path], WrittenReport]) -> None:
    """Write a report to the file of ``--report``, or else into a new folder, and print where it is.

    Args:
        requested: The value of ``--report``.
        outputs: The files of the command.
        run: Folder of the run that the model comes from; None for other models.
        make: Writes the report to a path.
    """
    if requested is not None:
        outputs.write("report", lambda path: write_report(lambda: make(path), requested=True))
    else:
        write_report(lambda: make(new_report_file(run)), requested=False)


def write_report(write: Callable[[], WrittenReport], requested: bool) -> None:
    """Write a report and print where it is; what was printed and written before stays in any case.

    A failure of a report that no flag asked for is only a warning.

    Raises:
        OSError, ValueError, MemoryError: If the report was requested and cannot be written.
    """
    started = time.perf_counter()
    try:
        written = write()
    except Exception as error:  # numbers and checkpoints are safe: nobody shall think they are lost
        if requested:
            raise
        known = isinstance(error, (OSError, ValueError, MemoryError))
        print(f"detkit: warning: no report: {'' if known else f'{type(error).__name__}: '}{printable_message(error)}", file=sys.stderr)
        return
    seconds, size = duration(time.perf_counter() - started), f"{written.size / 1e6:.1f} MB"
    print(f"report: {printable(written.path)} ({size} with {count(written.images, 'image')}; {seconds})")
    if written.failed:
        first = "; ".join(printable(reason) for reason in written.failed[:_SHOWN_FAILURES])
        print(f"report: {count(len(written.failed), 'image')} could not be read: {first}")

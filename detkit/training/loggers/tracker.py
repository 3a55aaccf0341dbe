"""Base of the loggers that write to an experiment tracker, whose errors never end a training."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from detkit.checkpoint.atomic import write_json
from detkit.json_text import parse_json
from detkit.training.folder import RunFolder
from detkit.training.hooks import Hook, Record
from detkit.training.loggers.names import evaluation_numbers, record_numbers

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrackedRun:
    """The run that a tracker describes.

    Attributes:
        folder: The folder of the run; its name is the name of the run.
        config: The experiment config as nested dicts.
    """

    folder: RunFolder
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.folder.path.resolve().name

    def saved(self, tracker: str) -> dict[str, Any]:
        """Return what a tracker stored with :meth:`save`; empty for a new run or a damaged file."""
        try:
            content = parse_json(self.folder.trackers.read_bytes(), str(self.folder.trackers))
            return dict(content[tracker])
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def save(self, tracker: str, **values: str) -> None:
        """Store values by which a resumed run finds the tracker's run again."""
        try:
            content = json.loads(self.folder.trackers.read_text("utf-8"))
        except (OSError, ValueError):
            content = {}
        write_json(self.folder.trackers, {**content, tracker: values})


class Tracker(Hook):
    """Logs losses, learning rate, speed, metrics, the config and the final files of a run.

    After the first error, such as a missing network or a full disk, it warns and logs nothing more, and the training goes on. A resumed run
    continues the same run of the tracker. Numbers of later stages have a prefix, such as ``stage_2/``.

    Args:
        run: The run.
    """

    name: ClassVar[str]
    """Name in the config."""
    title: ClassVar[str]
    """Name in messages."""

    def __init__(self, run: TrackedRun) -> None:
        self.run, self.failed = run, False
        self._prefix = ""

    def start(self, step: int, stage: int = 0) -> None:
        """Open the run of the tracker."""
        self._prefix = f"stage_{stage + 1}/" if stage else ""
        self._guarded(self._open)

    def record(self, record: Record) -> None:
        """Log losses, learning rate and speed."""
        self._log_numbers(record_numbers(record), record.step)

    def evaluation(self, step: int, numbers: Mapping[str, float]) -> None:
        """Log the metrics."""
        self._log_numbers(evaluation_numbers(numbers), step)

    def close(self) -> None:
        """Close the run of the tracker."""
        self._guarded(self._close)

    def attach(self, name: str, files: Sequence[Path]) -> None:
        """Store a named group of files with the run of the tracker, which is opened and closed for it."""
        self._guarded(self._open)
        self._guarded(lambda: self._attach(name, files))
        self.close()

    def _log_numbers(self, numbers: Mapping[str, float], step: int) -> None:
        finite = {f"{self._prefix}{name}": value for name, value in numbers.items() if math.isfinite(value)}
        self._guarded(lambda: self._add(finite, step))

    def _guarded(self, action: Callable[[], None]) -> None:
        """Run an action; its first error is reported, and ends the logging."""
        if self.failed:
            return
        try:
            action()
        except Exception as error:
            self.failed = True
            reason = " ".join(str(error).split()) or type(error).__name__
            _log.warning(
                "warning: %s failed, and logs nothing more of this run: %s; the training goes on, and every number is in %s",
                self.title,
                reason,
                self.run.folder.metrics,
            )

    def _open(self) -> None:
        """Open the run of the tracker, new or resumed; nothing happens if it is open."""
        raise NotImplementedError

    def _add(self, numbers: Mapping[str, float], step: int) -> None:
        """Log numbers at a step."""
        raise NotImplementedError

    def _attach(self, name: str, files: Sequence[Path]) -> None:
        """Store a named group of files with the run."""
        raise NotImplementedError

    def _close(self) -> None:
        """Close the run, if it is open."""
        raise NotImplementedError

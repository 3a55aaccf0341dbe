"""Callbacks of a training run, and those that write the metrics file and TensorBoard's files."""

from __future__ import annotations

import json
import logging
import os
import platform
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from detkit.checkpoint.atomic import explain_write_errors, finite, write_text

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """Summary of the steps since the previous record.

    Attributes:
        step: Steps made so far.
        progress: Fraction of the run that is done.
        losses: Mean of each loss term; ``total`` is their sum.
        lr: Learning rate (of the group with factor 1, otherwise of the first group).
        gradient_norm: Norm of the last gradient over all parameters, before clipping.
        images_seen: Training images so far.
        core_minutes: Processor time so far.
        seconds: Wall time per step.
        waiting: Fraction of that time spent waiting for data.
    """

    step: int
    progress: float
    losses: Mapping[str, float]
    lr: float
    gradient_norm: float
    images_seen: int
    core_minutes: float
    seconds: float
    waiting: float


class Hook:
    """Base class of callbacks; does nothing by default.

    Pass your own to :func:`detkit.train`: ``detkit.train(config, hooks=[MyHook()])``. They are called in the first process, in this order:
    ``start``; then ``after_step`` after every step, ``record`` every ``training.log_every`` steps, ``evaluating`` after every image of an
    evaluation and ``evaluation`` after it; and ``close`` in the end, also after an error. An exception in a hook ends the run.
    """

    def start(self, step: int, stage: int = 0) -> None:
        """Called when a stage, counted from 0, starts, or is resumed after ``step`` steps."""

    def after_step(self, step: int, progress: float) -> None:
        """Called after each step with the steps made and the fraction of the run that is done; must be cheap."""

    def record(self, record: Record) -> None:
        """Called every few steps with a summary of them."""

    def evaluating(self, done: int, images: int) -> None:
        """Called before the first image of an evaluation and after each, with the images done and all images of this process."""

    def evaluation(self, step: int, numbers: Mapping[str, float]) -> None:
        """Called after an evaluation with its metrics."""

    def close(self) -> None:
        """Called when the stage ends, also after an error."""


class Hooks(Hook):
    """Calls each of several hooks in turn."""

    def __init__(self, hooks: Iterable[Hook] = ()) -> None:
        self.hooks = tuple(hooks)

    def start(self, step: int, stage: int = 0) -> None:
        """See :meth:`Hook.start`."""
        for hook in self.hooks:
            hook.start(step, stage)

    def after_step(self, step: int, progress: float) -> None:
        """See :meth:`Hook.after_step`."""
        for hook in self.hooks:
            hook.after_step(step, progress)

    def record(self, record: Record) -> None:
        """See :meth:`Hook.record`."""
        for hook in self.hooks:
            hook.record(record)

    def evaluating(self, done: int, images: int) -> None:
        """See :meth:`Hook.evaluating`."""
        for hook in self.hooks:
            hook.evaluating(done, images)

    def evaluation(self, step: int, numbers: Mapping[str, float]) -> None:
        """See :meth:`Hook.evaluation`."""
        for hook in self.hooks:
            hook.evaluation(step, numbers)

    def close(self) -> None:
        """See :meth:`Hook.close`."""
        for hook in self.hooks:
            hook.close()


class MetricsFile(Hook):
    """Metrics as one JSON object per line; rows of later stages have a ``stage``.

    When a run is resumed, the rows of steps that it repeats are deleted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stage = 0
        self._exists = False

    def start(self, step: int, stage: int = 0) -> None:
        """Delete the rows after ``step``."""
        self._stage = stage
        with explain_write_errors(self.path):
            self.path.touch()
        self._exists = True
        lines = [line for line in self.path.read_text("utf-8").splitlines() if line.strip()]
        kept = [line for line in lines if _stage_and_step(line) <= (stage, step)]
        if len(kept) < len(lines):
            write_text(self.path, "".join(f"{line}\n" for line in kept))

    def record(self, record: Record) -> None:
        """Append a row of losses."""
        self._append(asdict(record))

    def evaluation(self, step: int, numbers: Mapping[str, float]) -> None:
        """Append a row of metrics."""
        self._append({"step": step, "evaluation": dict(numbers)})

    def _append(self, row: dict[str, Any]) -> None:
        """Append a row.

        Raises:
            FileNotFoundError: If the folder of the run, or the file in it, was removed.
            WriteError: If the disk is full.
        """
        if not self.path.parent.is_dir() or (self._exists and not self.path.exists()):
            raise FileNotFoundError(
                f"{self.path.parent}: the folder of the run was removed or emptied during the training; nothing more can be kept in it, "
                "so start the training again"
            )
        row = {"stage": self._stage, **row} if self._stage else row
        with explain_write_errors(self.path), self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(finite(row)) + "\n")
        self._exists = True


def _stage_and_step(line: str) -> tuple[int, int]:
    """Return the stage and the step of a row."""
    try:
        row = json.loads(line)
        return int(row.get("stage", 0)), int(row["step"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return sys.maxsize, 0  # an incomplete line of a run that was killed


class TensorBoard(Hook):
    """Event files for TensorBoard, written as the numbers come, so that an error of the disk is raised where it can be handled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: BinaryIO | None = None

    def start(self, step: int, stage: int = 0) -> None:
        """Open a file; repeated steps replace the old ones."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        self.close()
        folder = self.folder / f"stage_{stage + 1}" if stage else self.folder
        name = f"events.out.tfevents.{int(time.time()):010d}.{platform.node()}.{os.getpid()}.{stage}"
        with explain_write_errors(self.folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / name).open("ab")
        self._write(
            Event(wall_time=time.time(), file_version="brain.Event:2"),
            Event(wall_time=time.time(), step=step + 1, session_log=SessionLog(status=SessionLog.START)),
        )

    def record(self, record: Record) -> None:
        """Write losses, learning rate and speed."""
        numbers = {f"losses/{name}": value for name, value in record.losses.items()}
        numbers |= {f"run/{name}": getattr(record, name) for name in ("lr", "gradient_norm", "core_minutes", "seconds")}
        self._add(numbers, record.step)

    def evaluation(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write the metrics."""
        self._add({f"validation/{name}": value for name, value in numbers.items()}, step)

    def _add(self, numbers: Mapping[str, float], step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
        self._write(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def _write(self, *events: Any) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        if self._file is None:
            return
        with explain_write_errors(self.folder):
            writer = RecordWriter(self._file)
            for event in events:
                writer.write(event.SerializeToString())
            self._file.flush()

    def close(self) -> None:
        """Close the file; everything is in it already."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # what did not fit the disk was reported when it was written
                file.close()

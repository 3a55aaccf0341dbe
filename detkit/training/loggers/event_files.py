"""Event files for TensorBoard."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from detkit.checkpoint.atomic import explain_write_errors
from detkit.training.hooks import Hook, Record
from detkit.training.loggers.names import evaluation_numbers, record_numbers


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
        self._add(record_numbers(record), record.step)

    def evaluation(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write the metrics."""
        self._add(evaluation_numbers(numbers), step)

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

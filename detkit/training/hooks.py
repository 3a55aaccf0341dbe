"""Who is told how a run goes: the metrics file, TensorBoard, the progress bar."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from detkit.checkpoint import write_text

log = logging.getLogger("detkit.training")


@dataclass(frozen=True)
class Record:
    """The steps since the last record.

    Attributes:
        step: Steps made so far.
        progress: Share of the run that is over.
        losses: Mean of each loss term; ``total`` is their sum.
        lr: The learning rate (of the group with factor 1, else of the first).
        gradient_norm: Norm of the last whole gradient, before clipping.
        images_seen: Training images so far.
        core_minutes: Processor time so far.
        seconds: Wall time a step.
        waiting: Share of that time spent waiting for data.
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
    """Is told how a run goes; does nothing by default."""

    def start(self, step: int, stage: int = 0) -> None:
        """A stage, counted from 0, begins, or goes on after ``step`` steps."""

    def set_progress(self, step: int, progress: float) -> None:
        """A step was made; called often, so it must be cheap."""

    def record(self, record: Record) -> None:
        """Some steps were made."""

    def evaluation(self, step: int, numbers: Mapping[str, float]) -> None:
        """The model was evaluated."""

    def close(self) -> None:
        """The stage ends, well or not."""


class MetricsFile(Hook):
    """One JSON object a line; rows of steps that a resumed run makes again are dropped. Later stages' rows say ``stage``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stage = 0

    def start(self, step: int, stage: int = 0) -> None:
        """Drop what lies after ``step``."""
        self._stage = stage
        if not self.path.exists():
            return
        lines = [line for line in self.path.read_text("utf-8").splitlines() if line.strip()]
        kept = [line for line in lines if _place_of(line) <= (stage, step)]
        if len(kept) < len(lines):
            write_text(self.path, "".join(f"{line}\n" for line in kept))

    def record(self, record: Record) -> None:
        """Add a row of losses."""
        self._add(asdict(record))

    def evaluation(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add a row of numbers."""
        self._add({"step": step, "evaluation": dict(numbers)})

    def _add(self, row: dict[str, Any]) -> None:
        row = {"stage": self._stage, **row} if self._stage else row
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(_without_nan(row)) + "\n")


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: null says that there is no number."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _place_of(line: str) -> tuple[int, int]:
    """Stage and step of a row."""
    try:
        row = json.loads(line)
        return int(row.get("stage", 0)), int(row["step"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return sys.maxsize, 0  # the half line of a run that was killed


class TensorBoard(Hook):
    """Event files for TensorBoard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None

    def start(self, step: int, stage: int = 0) -> None:
        """Open the writer; steps made again replace the old ones."""
        from torch.utils.tensorboard import SummaryWriter

        folder = self.folder / f"stage_{stage + 1}" if stage else self.folder
        self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def record(self, record: Record) -> None:
        """Write losses, rate and speed."""
        for name, value in record.losses.items():
            self._writer.add_scalar(f"losses/{name}", value, record.step)
        for name in ("lr", "gradient_norm", "core_minutes", "seconds"):
            self._writer.add_scalar(f"run/{name}", getattr(record, name), record.step)

    def evaluation(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write the numbers."""
        for name, value in numbers.items():
            self._writer.add_scalar(f"validation/{name}", value, step)

    def close(self) -> None:
        """Flush and close the file."""
        if self._writer is not None:
            self._writer.close()


class ProgressBar(Hook):
    """A bar in percent of the run with the time left and the losses; on a stream that is no terminal, a line now and then."""

    def __init__(self, every_seconds: float = 30.0) -> None:
        self.every_seconds = every_seconds
        self._bar: Any = None
        self._begun = self._told = time.monotonic()
        self._from: float | None = None
        self._open = ExitStack()

    def start(self, step: int, stage: int = 0) -> None:
        """Show the bar; lines of the log go above it."""
        from tqdm import tqdm
        from tqdm.contrib.logging import logging_redirect_tqdm

        self._from = None
        self._begun = self._told = time.monotonic()
        shape = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"
        self._bar = tqdm(total=100, unit="%", bar_format=shape, disable=None, dynamic_ncols=True, leave=True)
        if not self._bar.disable:
            self._open.enter_context(logging_redirect_tqdm([logging.getLogger("detkit")]))

    def set_progress(self, step: int, progress: float) -> None:
        """Move the bar."""
        if self._from is None:
            self._from = progress
            self._bar.initial = self._bar.n = 100 * progress
        self._bar.set_description(f"step {step}", refresh=False)
        self._bar.update(max(0.0, min(100 * progress, 100.0) - self._bar.n))

    def record(self, record: Record) -> None:
        """Show the losses."""
        losses = " ".join(f"{name} {value:.3f}" for name, value in record.losses.items())
        self._bar.set_postfix_str(f"{losses} lr {record.lr:.2g}", refresh=False)
        now = time.monotonic()
        if self._bar.disable and now - self._told >= self.every_seconds:
            self._told = now
            log.info(
                "step %d, %.0f %%, %s left: %s lr %.3g", record.step, 100 * record.progress, self._left(record.progress), losses, record.lr
            )

    def close(self) -> None:
        """Leave the bar as it is."""
        self._open.close()
        if self._bar is not None:
            self._bar.close()

    def _left(self, progress: float) -> str:
        made = progress - (self._from or 0.0)
        if made <= 0:
            return "?"
        seconds = int((time.monotonic() - self._begun) * (1 - progress) / made)
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"

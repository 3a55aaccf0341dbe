"""Logging to Weights & Biases, offline unless the user decides otherwise."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from detkit.training.loggers.tracker import TrackedRun, Tracker

_ENVIRONMENT = {
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_DISABLE_GIT": "true",
    "WANDB_DISABLE_CODE": "true",
    "WANDB_X_DISABLE_STATS": "true",
    "WANDB_X_DISABLE_MACHINE_INFO": "true",
    "WANDB_CONSOLE": "off",
    "WANDB_SILENT": "true",
    "DO_NOT_TRACK": "true",
}
"""Settings of the package before it is imported: no reports to its makers, and nothing about the machine, the code or the terminal."""
PROJECT = "detkit"


class WeightsAndBiases(Tracker):
    """Writes to the folder ``wandb`` in that of the run; ``wandb sync`` uploads it.

    With ``WANDB_MODE=online`` in the environment it goes to the server at once. ``WANDB_PROJECT``, ``WANDB_ENTITY``, ``WANDB_DIR`` and the
    other variables of the package work as usual.
    """

    name: ClassVar[str] = "wandb"
    title: ClassVar[str] = "Weights & Biases"

    def __init__(self, run: TrackedRun) -> None:
        super().__init__(run)
        self._run: Any = None
        self._defined: set[str] = set()

    def _open(self) -> None:
        if self._run is not None:
            return
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        import wandb

        self._defined.clear()
        identifier = self.run.saved(self.name).get("id") or uuid.uuid4().hex[:8]
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=identifier,
            resume="allow",
            name=self.run.name,
            dir=os.environ.get("WANDB_DIR", str(self.run.folder.path)),
            mode=None if "WANDB_MODE" in os.environ else "offline",
        )
        self.run.save(self.name, id=identifier)
        self._run.config.update(dict(self.run.config), allow_val_change=True)

    def _add(self, numbers: Mapping[str, float], step: int) -> None:
        # The package's own step must only grow, but steps are repeated by a resumed run and by every stage: they are an axis of the plots.
        axis = f"{self._prefix}step"
        for name in numbers.keys() - self._defined:
            self._run.define_metric(name, step_metric=axis)
        self._defined |= numbers.keys()
        self._run.log({**numbers, axis: step})

    def _attach(self, name: str, files: Sequence[Path]) -> None:
        import wandb

        artifact = wandb.Artifact(f"{name}-{self._run.id}", type=name)
        for file in files:
            artifact.add_file(str(file), name=file.relative_to(self.run.folder.path).as_posix())
        self._run.log_artifact(artifact)

    def _close(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            run.finish()

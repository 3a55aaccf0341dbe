"""Logging to MLflow: a SQLite file next to the runs, unless the user names a server."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from detkit.training.loggers.tracker import TrackedRun, Tracker

_ENVIRONMENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
"""Settings of the package before it is imported: no reports to its makers."""
EXPERIMENT = "detkit"
DATABASE, ARTIFACTS = "mlflow.db", "mlartifacts"
"""Names of the database and of the folder of files, next to the folder of the run."""
_FORBIDDEN = re.compile(r"[^\w .\-/]")
"""Characters that names of metrics and parameters cannot have."""
_MAX_VALUE, _MAX_PARAMETERS = 500, 100
"""Characters of a parameter, and parameters of a batch, that every version accepts."""


class MLflow(Tracker):
    """Writes to ``mlflow.db`` next to the folder of the run; ``mlflow ui --backend-store-uri sqlite:///runs/mlflow.db`` shows it.

    With ``MLFLOW_TRACKING_URI`` in the environment it goes there. ``MLFLOW_EXPERIMENT_NAME`` names the experiment.
    """

    name: ClassVar[str] = "mlflow"
    title: ClassVar[str] = "MLflow"

    def __init__(self, run: TrackedRun) -> None:
        super().__init__(run)
        self._client: Any = None
        self._id = ""

    def _open(self) -> None:
        if self._client is not None:
            return
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        address = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(self._root / DATABASE).as_posix()}"
        self._client = MlflowClient(address)
        self._id = self._resumed() or self._created()
        self.run.save(self.name, tracking_uri=address, run_id=self._id)

    @property
    def _root(self) -> Path:
        return self.run.folder.path.resolve().parent

    def _resumed(self) -> str | None:
        """Return the id of the run to continue, unless there is none, or it was deleted."""
        from mlflow.exceptions import MlflowException

        identifier = self.run.saved(self.name).get("run_id")
        if not identifier:
            return None
        try:
            if self._client.get_run(identifier).info.lifecycle_stage != "active":
                return None
            self._client.set_terminated(identifier, "RUNNING")
        except MlflowException:
            return None
        return str(identifier)

    def _created(self) -> str:
        from mlflow.entities import Param

        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        experiment = self._client.get_experiment_by_name(name)
        local = None if os.environ.get("MLFLOW_TRACKING_URI") else (self._root / ARTIFACTS).as_uri()
        experiment_id = experiment.experiment_id if experiment else self._client.create_experiment(name, artifact_location=local)
        identifier = str(self._client.create_run(experiment_id, run_name=self.run.name).info.run_id)
        rows = [Param(_valid(key), text[:_MAX_VALUE]) for key, value in _flat(self.run.config) if (text := str(value))]
        for start in range(0, len(rows), _MAX_PARAMETERS):
            self._client.log_batch(identifier, params=rows[start : start + _MAX_PARAMETERS])
        return identifier

    def _add(self, numbers: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        self._client.log_batch(self._id, metrics=[Metric(_valid(name), value, now, step) for name, value in numbers.items()])

    def _attach(self, name: str, files: Sequence[Path]) -> None:
        for file in files:
            folder = file.parent.relative_to(self.run.folder.path).as_posix()
            self._client.log_artifact(self._id, str(file), None if folder == "." else folder)

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.set_terminated(self._id)


def _valid(name: str) -> str:
    return _FORBIDDEN.sub("_", name)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested groups by their dotted keys."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value

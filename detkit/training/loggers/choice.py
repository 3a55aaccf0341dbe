"""The loggers of a run: files always, and the experiment trackers that its config names."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detkit.training.folder import RunFolder
from detkit.training.hooks import Hook
from detkit.training.loggers.event_files import TensorBoard
from detkit.training.loggers.metrics_file import MetricsFile
from detkit.training.loggers.mlflow_runs import MLflow
from detkit.training.loggers.tracker import TrackedRun, Tracker
from detkit.training.loggers.weights_and_biases import WeightsAndBiases

TRACKERS: dict[str, type[Tracker]] = {tracker.name: tracker for tracker in (WeightsAndBiases, MLflow)}


def check_trackers(names: Sequence[str]) -> None:
    """Check that the packages of the trackers are installed.

    Raises:
        ImportError: If one is not.
    """
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:  # without an origin it is a folder of that name, such as the one that wandb writes
            raise ImportError(
                f"training.loggers={name} needs the package {name}, which is not installed: pip install 'detkit-vision[{name}]', or train "
                "without it: metrics.csv and the files for TensorBoard are always written"
            )


def build_loggers(folder: RunFolder, config: Mapping[str, Any], trackers: Sequence[str]) -> tuple[Hook, ...]:
    """Return the hooks that keep the numbers of a run.

    Args:
        folder: The folder of the run.
        config: Its config as nested dicts.
        trackers: Names of experiment trackers.
    """
    run = TrackedRun(folder, config)
    return (
        MetricsFile(folder.metrics),
        TensorBoard(folder.path / "tensorboard"),
        *(TRACKERS[name](run) for name in dict.fromkeys(trackers)),
    )


def attach_results(folder: RunFolder, trackers: Sequence[str]) -> None:
    """Store the results and the images of a run that has ended with its trackers; see :func:`attach_files`."""
    attach_files(folder, trackers, "results", [folder.results, *sorted(folder.images.glob("*"))])


def attach_report(folder: RunFolder, trackers: Sequence[str]) -> None:
    """Store the report of a run that has ended, if there is one in its folder, with its trackers; see :func:`attach_files`."""
    attach_files(folder, trackers, "report", [folder.path / "report.html"])


def attach_files(folder: RunFolder, trackers: Sequence[str], name: str, files: Sequence[Path]) -> None:
    """Store files of a run, such as its report, with its trackers; errors are only reported.

    Args:
        folder: The folder of the run.
        trackers: Names of its experiment trackers.
        name: Name of the group of files.
        files: Files in the folder; those that do not exist are left out.
    """
    existing = [file for file in files if file.is_file()]
    run = TrackedRun(folder, {})
    for tracker in dict.fromkeys(trackers if existing else ()):
        if run.saved(tracker):
            TRACKERS[tracker](run).attach(name, existing)

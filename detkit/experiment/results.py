"""Results of a run, written as JSON that can be kept under version control."""

from __future__ import annotations

import json
import platform
import subprocess
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from detkit.about import __version__
from detkit.checkpoint.atomic import write_json
from detkit.machine import processor
from detkit.training.folder import RunFolder

_PACKAGES = ("torchvision", "numpy", "albumentations", "opencv-python", "hotcoco", "pycocotools", "timm")


@dataclass(frozen=True)
class TrainResult:
    """Results of a run.

    Attributes:
        folder: The folder of the run.
        reason: Why it ended: ``finished``, ``budget``, ``early stop``, or the name of the signal that interrupted it.
        interrupted: Whether it can be resumed with ``--resume``.
        steps: Optimizer steps of the last stage with gradient steps.
        images_seen: Training images, repeats included.
        core_minutes: User and system time of all processes, from start to end.
        numbers: Metrics of the last evaluation.
        best_numbers: Metrics of the best evaluation, whose checkpoint is ``best``.
        best_step: Step of the best evaluation.
        best: The best checkpoint, or the newest if nothing was evaluated.
        facts: Versions, machine and sizes.
    """

    folder: Path
    reason: str
    interrupted: bool
    steps: int
    images_seen: int
    core_minutes: float
    numbers: dict[str, float]
    best_numbers: dict[str, float]
    best_step: int
    best: Path
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def last_checkpoint(self) -> Path:
        """The newest checkpoint."""
        return RunFolder(self.folder).last


def write_results(path: Path, config_json: str, result: TrainResult) -> None:
    """Write the results of a run with its config as JSON; NaN becomes null."""
    config = json.loads(config_json)
    row = {
        "name": config["name"],
        "seed": config["seed"],
        "reason": result.reason,
        "steps": result.steps,
        "images_seen": result.images_seen,
        "core_minutes": round(result.core_minutes, 3),
        "validation": {"best_step": result.best_step, "best": result.best_numbers, "last": result.numbers},
        **result.facts,
        "config": config,
    }
    write_json(path, row)


def machine_facts() -> dict[str, Any]:
    """Return versions, the processor, and the revision of the code if it is in a git checkout."""
    return {
        "versions": {
            "detkit": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            **{name: _version(name) for name in _PACKAGES},
        },
        "revision": _revision(),
        "machine": {"system": platform.system(), "processor": processor(), "threads": torch.get_num_threads()},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _revision() -> str | None:
    """Return the commit of the checkout that contains the package, with ``+`` if tracked files differ from it."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None

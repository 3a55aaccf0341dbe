"""The work of one process of a comparison: train, or evaluate; each in a process of its own, so that none inherits memory or settings."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from detkit.checkpoint.atomic import write_json, write_text
from detkit.comparison.detections import write_detections
from detkit.config import Config
from detkit.data import SourceConfig, read_source
from detkit.experiment.config import Experiment
from detkit.training.folder import RunFolder
from detkit.training.hooks import Hook

_log = logging.getLogger(__name__)

_LOCATIONS = ("path", "images")


class TrainTask(Config):
    """One training; a folder that holds a resumable state is resumed."""

    kind: Literal["train"] = "train"
    """Kind of the task."""
    experiment: Experiment
    """The complete config; ``output`` is the folder."""
    device: str = "auto"
    """Device of the training."""
    pause_at: float | None = None
    """Fraction of the training at whose next evaluation the training pauses."""
    parent: int = 0
    """Process whose end also pauses the training; 0: none."""


class EvaluationTask(Config):
    """Detections of one detector on the validation and test images."""

    kind: Literal["evaluate", "results"] = "evaluate"
    """``evaluate``: run a detector; ``results``: read the detections on the test images from a file."""
    model: str
    """Checkpoint, run, exported file or published name; or COCO results."""
    parts: dict[str, SourceConfig]
    """The images by the name of the part."""
    output: str
    """Folder of the results."""
    proposals: str | None = None
    """Folder that caches proposals."""
    device: str = "auto"
    """Device of the detector."""
    precision: str = "auto"
    """Number format."""
    runtime: str | None = None
    """Name of the runtime; exported files run in their own."""


class Pause(Hook):
    """Stops a training at the first evaluation after a fraction of it, or when the process that started it has ended.

    Args:
        at: Fraction of the training; None: never.
        parent: The process that started the training; 0: none.
        minutes: Returns the core-minutes of the training.
        budget: Its budget, of which ``at`` is a fraction; None: ``at`` is a fraction of the steps.
    """

    def __init__(self, at: float | None, parent: int, minutes: Callable[[], float], budget: float | None) -> None:
        self.at, self.parent, self.minutes, self.budget = at, parent, minutes, budget
        self._progress = 0.0

    def after_step(self, step: int, progress: float) -> None:
        """Remember the progress, and stop if nobody waits for the result."""
        self._progress = progress
        if self.parent and os.getppid() != self.parent:
            self.parent = 0
            signal.raise_signal(signal.SIGTERM)

    def evaluation(self, step: int, numbers: Mapping[str, float]) -> None:
        """Stop after the fraction."""
        done = self._progress if self.budget is None else self.minutes() / self.budget
        if self.at is not None and self.at <= done < 1:
            signal.raise_signal(signal.SIGTERM)


def train_task(task: TrainTask) -> bool:
    """Train, or resume; return whether the training is finished.

    Raises:
        ValueError: If the folder holds a training with other settings, or of other data.
    """
    from detkit.experiment import train
    from detkit.training.process.clock import CoreClock

    config, folder = task.experiment, RunFolder(Path(str(task.experiment.output)))
    resume = folder.state.is_file()
    if resume:
        move_run(folder, config)
    clock = CoreClock(whole_process=True)
    hooks: Sequence[Hook] = (Pause(task.pause_at, task.parent, clock.minutes, config.training.budget),)
    result = train(config, device=task.device, resume=folder if resume else None, clock=clock, progress=False, hooks=hooks)
    return not result.interrupted


def move_run(folder: RunFolder, config: Experiment) -> None:
    """Rewrite the locations of data and caches in the config of a run that was moved; the data itself is compared when it is resumed."""
    old = Experiment.from_json(folder.config.read_bytes())
    moved = old.replace(output=config.output, data=_relocated(old, config))
    proposals = config.model.proposals_config
    if proposals is not None and old.model.proposals_config is not None:
        model: Any = old.model
        moved = moved.replace(model=model.replace(proposals=model.proposals.replace(cache=proposals.cache)))
    if moved != old:
        write_text(folder.config, moved.to_json(indent=1))


def _relocated(old: Experiment, new: Experiment) -> Any:
    """Return the data of a run with the new paths."""
    if old.data.val is None or new.data.val is None:
        return old.data
    train, val = (
        before.replace(**{name: getattr(after, name) for name in _LOCATIONS})
        for before, after in ((old.data.train, new.data.train), (old.data.val, new.data.val))
    )
    return old.data.replace(train=train, val=val)


def results_task(task: EvaluationTask) -> None:
    """Read the detections on the test images from a COCO results file."""
    from detkit.evaluation.evaluator import Evaluator

    data, folder = read_source(task.parts["test"]), Path(task.output)
    folder.mkdir(parents=True, exist_ok=True)
    evaluator = Evaluator(data, data.class_names)
    write_detections(folder / "test.npz", evaluator.read_results(task.model), evaluator.read_masks(task.model))
    write_json(folder / "evaluation.json", {"model": Path(task.model).name})


def evaluation_task(task: EvaluationTask) -> None:
    """Detect on every part, and write the detections and the facts about the evaluation; the test images are read last, and once."""
    from detkit.experiment.evaluation_run import run_evaluator
    from detkit.experiment.results import machine_facts
    from detkit.inference import load
    from detkit.inference.runtime import is_exported

    own = is_exported(task.model)
    options: dict[str, Any] = {} if task.proposals is None or own else {"proposals_cache": task.proposals}
    options |= {} if task.runtime is None or own else {"runtime": task.runtime}
    predictor = load(task.model, task.device, task.precision, **options)
    folder, seconds = Path(task.output), dict[str, float]()
    folder.mkdir(parents=True, exist_ok=True)
    left_out: dict[str, int] = {}
    for name, source in task.parts.items():
        data = read_source(source)
        start = time.perf_counter()
        evaluator = run_evaluator(predictor, data)
        seconds[name] = round((time.perf_counter() - start) / len(data), 6)
        left_out |= evaluator.left_out
        masks = [row["segmentation"] for row in evaluator.mask_rows()] if evaluator.has_masks else None
        write_detections(folder / f"{name}.npz", evaluator.table(), masks)
        _log.info("%s: %d images, %.0f ms each", data.name, len(data), 1000 * seconds[name])
    facts = {"precision": predictor.precision, "device": str(predictor.device), "seconds_per_image": seconds, "left_out": left_out}
    write_json(folder / "evaluation.json", {"model": Path(task.model).name, **facts, **machine_facts()})

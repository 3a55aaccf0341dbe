"""What the stages of one run share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from detkit.preprocess import PreprocessConfig
from detkit.training.clock import CoreClock
from detkit.training.folder import RunFolder
from detkit.training.hooks import Hook
from detkit.training.interrupt import StopSignals
from detkit.training.processes import Processes
from detkit.training.random_state import random_state_kept

if TYPE_CHECKING:
    from detkit.data import DetectionData
    from detkit.data.loader import SampleBatch
    from detkit.inference.predictor import ProposalFunction
    from detkit.models.detector import Detector
    from detkit.training.distilled import Distilled
    from detkit.training.distilled_classifier import DistilledClassifier

EVALUATION_MARGIN = 1.1
"""The next evaluation may take so many times what the longest one took."""

Batches = Callable[[int], Iterable["SampleBatch"]]
"""Gives this process's share of the batches from a step on, without an end."""

Evaluate = Callable[[nn.Module, int], Mapping[str, float]]
"""Scores a detector on the validation data after so many steps; called in every process, the same numbers come back in each."""


@dataclass(frozen=True, eq=False)
class RunData:
    """The data of a run, ready to be trained on.

    Attributes:
        batches: See :data:`Batches`.
        batch_size: Images of one batch over all processes.
        images: Training images.
        evaluate: See :data:`Evaluate`; nothing without validation data.
        records: The training images themselves, for stages that do not take batches.
    """

    batches: Batches
    batch_size: int
    images: int
    evaluate: Evaluate | None = None
    records: DetectionData | None = None

    def with_evaluation(self, evaluate: Evaluate) -> RunData:
        """The same data, validated."""
        return replace(self, evaluate=evaluate)


@dataclass(eq=False)
class Run:
    """One run of training, over all its stages.

    Attributes:
        detector: The model, on its device.
        preprocess: How its images become inputs.
        data: What it learns from.
        folder: Where the first process writes.
        header: The head of its checkpoints.
        seed: What every random choice depends on.
        processes: Who trains it.
        device: Where this process does.
        clock: The core-minutes of this process.
        budget: The core-minutes of all stages, over all processes; none: no limit.
        hooks: Who is told about it (in the first process).
        signals: Whether it was asked to stop.
        images_seen: Training images over all processes, repeats included.
        stage: Which stage is being run, from 0.
        begun: Core-minutes when it began; 0 for the first one, so that start-up is of it.
        deadline: Core-minutes at which it must have ended.
        evaluation_minutes: What the longest evaluation took, in core-minutes.
        distilled: The detector with its teacher, if it has one; it is then called for the losses.
        proposer: Tells a detector that takes proposals where to look in a image.
        learner: Is called for the losses in the detector's place, while only a part of it learns.
        fresh: Gives the detector's numbers as the run began with.
    """

    detector: Detector
    preprocess: PreprocessConfig
    data: RunData
    folder: RunFolder
    header: Mapping[str, Any]
    seed: int = 0
    processes: Processes = field(default_factory=Processes)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    clock: CoreClock = field(default_factory=CoreClock)
    hooks: tuple[Hook, ...] = ()
    signals: StopSignals = field(default_factory=StopSignals)
    images_seen: int = 0
    stage: int = 0
    begun: float = 0.0
    deadline: float | None = None
    evaluation_minutes: float = 0.0
    budget: float | None = None
    distilled: Distilled | DistilledClassifier | None = None
    proposer: ProposalFunction | None = None
    learner: nn.Module | None = None
    fresh: Callable[[], Mapping[str, Tensor]] | None = None

    @property
    def failed_batch(self) -> Path:
        """Where this process lists a batch whose loss was not finite."""
        path = self.folder.failed_batch
        return path if self.processes.world == 1 else path.with_stem(f"{path.stem}_process_{self.processes.rank}")

    def minutes(self) -> float:
        """Core-minutes over all processes; every process must call it at the same place."""
        return self.processes.sums(self.clock.minutes())[0]

    def parts(self) -> dict[str, float]:
        """Core-minutes over all processes, by what they were spent on; every process must call it at the same place."""
        total: dict[str, float] = {}
        for parts in self.processes.gathered(self.clock.parts()):
            for name, minutes in parts.items():
                total[name] = total.get(name, 0.0) + minutes
        return total

    def evaluated(self, model: nn.Module, step: int) -> Mapping[str, float]:
        """The numbers of a model, none without validation data; the model stays in evaluation mode, random generators where they are."""
        if self.data.evaluate is None:
            return {}
        before = self.minutes()
        with self.clock.spent_on("evaluation"), random_state_kept():
            numbers = self.data.evaluate(model.eval(), step)
        self.evaluation_minutes = max(self.evaluation_minutes, self.minutes() - before)
        return numbers

    def is_late(self, share: float = 1.0) -> bool:
        """Whether a share of what the stage may take is spent, an evaluation at its end being left out; never without a budget."""
        if self.deadline is None:
            return False
        available = self.deadline - self.begun - EVALUATION_MARGIN * self.evaluation_minutes
        return self.minutes() - self.begun >= share * available

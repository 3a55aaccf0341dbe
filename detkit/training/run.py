"""The state that all stages of one training run share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from detkit.checkpoint.operating_points import OperatingPoints
from detkit.data.phases import Phase, PhasedBatches
from detkit.preprocess import PreprocessConfig
from detkit.training.fingerprint import DataFingerprint
from detkit.training.folder import RunFolder
from detkit.training.hooks import Hook
from detkit.training.kept_detections import KeptDetections
from detkit.training.process.clock import CoreClock
from detkit.training.process.copies import RunCopies
from detkit.training.process.distributed import Processes
from detkit.training.process.random_state import preserved_random_state
from detkit.training.process.signals import StopSignals

if TYPE_CHECKING:
    from detkit.data import DetectionData
    from detkit.data.loader import SampleBatch
    from detkit.inference.predictor import ProposalFunction
    from detkit.models.detector import Detector
    from detkit.training.distillation.classifier import DistilledClassifier
    from detkit.training.distillation.detector import DistilledDetector

EVALUATION_MARGIN = 1.1
"""Time reserved for the next evaluation, as a multiple of that of the longest one so far."""

Batches = Callable[[int], Iterable["SampleBatch"]]
"""Returns an endless iterable of this process's batches, starting at a step."""

Evaluate = Callable[["Detector", int], Mapping[str, float]]
"""Evaluates a detector on the validation data after a number of steps; called in every process and returns the same metrics in each."""


class EvaluationStopped(Exception):  # noqa: N818  # a request, not an error
    """The run was asked to stop within an evaluation, which is repeated when the run is resumed."""


@dataclass(frozen=True, eq=False)
class RunData:
    """The data of a run, ready for training.

    Attributes:
        batches: See :data:`Batches`.
        batch_size: Images per batch over all processes.
        images: Number of training images.
        evaluate: See :data:`Evaluate`; None without validation data.
        records: The training images themselves, for stages that do not use batches.
        metrics: Names of the metrics that ``evaluate`` returns, if they are known.
        phases: All parts of the training if the batches change during it; the first one has ``batches``.
    """

    batches: Batches
    batch_size: int
    images: int
    evaluate: Evaluate | None = None
    records: DetectionData | None = None
    metrics: tuple[str, ...] = ()
    phases: tuple[Phase[SampleBatch], ...] = ()

    def phased_batches(self) -> PhasedBatches[SampleBatch]:
        """Return the batches of the whole training, which change where its phases do."""
        return PhasedBatches(self.phases or (Phase(0.0, self.batches),))

    def with_evaluation(self, evaluate: Evaluate, metrics: tuple[str, ...]) -> RunData:
        """Return the same data with a validation function and the names of its metrics."""
        return replace(self, evaluate=evaluate, metrics=metrics)


@dataclass(eq=False)
class Run:
    """One training run over all its stages.

    Attributes:
        detector: The model, on its device.
        preprocess: Preprocessing of its images.
        data: The training data.
        folder: Where the first process writes.
        header: Header of its checkpoints.
        seed: Seed of all random choices.
        processes: The processes that train it.
        device: Device of this process.
        clock: Core-minutes of this process.
        budget: Limit of the core-minutes of all stages, over all processes; None for no limit.
        hooks: Callbacks (none but in the first process).
        signals: Whether the run was asked to stop.
        images_seen: Training images over all processes, repeats included.
        stage: Index of the current stage, from 0.
        stage_start_minutes: Core-minutes at the start of the stage; 0 for the first one, so that start-up is part of it.
        deadline: Core-minutes at which the stage must have ended.
        evaluation_minutes: Core-minutes of the longest evaluation.
        distilled: The detector with its teacher, if it has one; it then computes the losses.
        proposer: Supplies proposals for an image to a detector that takes them.
        loss_module: Computes the losses instead of the detector while only a part of it is trained.
        initial_state: Returns the weights and buffers that the run started with.
        fingerprints: Fingerprints of the data, by its use, which a resumed run compares.
        operating_points: Scores at which the detector worked best at its newest evaluation (in the first process only).
        detections: Detections of its newest evaluation (in the first process only), until they are written.
        image_seconds: Seconds of wall time of a training image in this process, once measured.
        copies: Copies the files of the run to object storage, if that was asked for.
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
    hooks: Hook = field(default_factory=Hook)
    signals: StopSignals = field(default_factory=StopSignals)
    images_seen: int = 0
    stage: int = 0
    stage_start_minutes: float = 0.0
    deadline: float | None = None
    evaluation_minutes: float = 0.0
    budget: float | None = None
    distilled: DistilledDetector | DistilledClassifier | None = None
    proposer: ProposalFunction | None = None
    loss_module: nn.Module | None = None
    initial_state: Callable[[], Mapping[str, Tensor]] | None = None
    fingerprints: Mapping[str, DataFingerprint] = field(default_factory=dict)
    operating_points: OperatingPoints | None = None
    detections: KeptDetections | None = None
    image_seconds: float | None = None
    copies: RunCopies = field(default_factory=RunCopies)

    @property
    def failed_batch(self) -> Path:
        """File in which this process lists a batch whose loss was not finite."""
        path = self.folder.failed_batch
        return path if self.processes.world == 1 else path.with_stem(f"{path.stem}_process_{self.processes.rank}")

    @property
    def network(self) -> nn.Module:
        """The module that computes the losses: the detector, alone, with its teacher, or only a part of it."""
        return self.loss_module or self.distilled or self.detector

    def minutes(self) -> float:
        """Return the core-minutes over all processes; every process must call it at the same point."""
        return self.processes.sum(self.clock.minutes())[0]

    def parts(self) -> dict[str, float]:
        """Return the core-minutes over all processes by activity; every process must call it at the same point."""
        total: dict[str, float] = {}
        for parts in self.processes.gather(self.clock.parts()):
            for name, minutes in parts.items():
                total[name] = total.get(name, 0.0) + minutes
        return total

    def evaluate(self, model: Detector, step: int) -> Mapping[str, float]:
        """Return the validation metrics of a model, empty without validation data.

        The model stays in evaluation mode, and the random generators are not changed.

        Raises:
            EvaluationStopped: If the run is asked to stop meanwhile.
        """
        if self.data.evaluate is None:
            return {}
        before = self.minutes()
        with self.clock.measure("evaluation"), preserved_random_state():
            numbers = self.data.evaluate(model.eval(), step)
        self.evaluation_minutes = max(self.evaluation_minutes, self.minutes() - before)
        return numbers

    def is_budget_spent(self, share: float = 1.0) -> bool:
        """Return whether a share of the stage's budget, less a final evaluation, is spent; always False without a budget."""
        if self.deadline is None:
            return False
        available = self.deadline - self.stage_start_minutes - EVALUATION_MARGIN * self.evaluation_minutes
        return self.minutes() - self.stage_start_minutes >= share * available

"""Build the parts of a run from its config."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detkit.checkpoint import make_header
from detkit.data import DetectionData, ImageRecord, class_lines
from detkit.data.augment import Augmenter
from detkit.data.loader import SampleBatch, batch_plan, build_loader
from detkit.data.phases import Phase
from detkit.data.unlabeled import append_unlabeled, load_unlabeled
from detkit.experiment.config import Experiment
from detkit.experiment.tasks import build_tiles, read_data
from detkit.inference.detectors import load_detector
from detkit.inference.proposals import build_proposer
from detkit.models.classifier import Classifier
from detkit.models.detector import Detector
from detkit.models.loading.class_embeddings import embed_classes
from detkit.models.loading.transfer import transfer
from detkit.proposals import Proposer
from detkit.structures import Proposals
from detkit.training.distillation.classifier import DistilledClassifier
from detkit.training.distillation.detector import DistilledDetector
from detkit.training.distillation.teacher import Teacher
from detkit.training.process.clock import CoreClock
from detkit.training.process.distributed import Processes
from detkit.training.process.random_state import preserved_random_state, seed_everything
from detkit.training.run import RunData

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TimedProposer:
    """A proposer whose core-minutes are counted as ``proposals``.

    It can be sent to a worker process; the clock of a worker is not read.
    """

    proposer: Proposer
    clock: CoreClock

    def __call__(self, image: NDArray[np.uint8]) -> Proposals:
        """Return the proposals of an image."""
        with self.clock.measure("proposals"):
            return self.proposer(image)


@dataclass(frozen=True, eq=False)
class Parts:
    """Model, data and proposer of a run.

    Attributes:
        detector: The model with its initial weights, on the CPU.
        train: The training data.
        val: The validation data, with the same classes.
        unlabeled: The unlabeled data for distillation.
        proposer: Supplies proposals to a detector that takes them.
    """

    detector: Detector
    train: DetectionData
    val: DetectionData
    unlabeled: tuple[DetectionData, ...] = ()
    proposer: TimedProposer | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The class names, in the order of the labels."""
        return self.train.class_names


@dataclass(frozen=True, eq=False)
class RunImages:
    """The images of a run.

    Attributes:
        train: The training data.
        val: The validation data, with the same classes.
        unlabeled: The unlabeled data for distillation.
    """

    train: DetectionData
    val: DetectionData
    unlabeled: tuple[DetectionData, ...] = ()


def read_images(config: Experiment, load_weights: bool = True) -> RunImages:
    """Read the data of a run, and log its classes.

    Args:
        config: The experiment.
        load_weights: Whether the run starts from the weights that the config names; missing ones are named together with missing data.

    Raises:
        FileNotFoundError: If data are not found; the message has the command that gets them.
        ValueError: If data are invalid.
    """
    _check_unlabeled(config)
    try:
        train, val = read_data(config)
        unlabeled = load_unlabeled(config.data.unlabeled, (train, val))
    except FileNotFoundError as error:
        missing = [str(error), *_missing_weights(config, load_weights), *_missing_teacher(config)]
        raise FileNotFoundError("; ".join([*missing, "or try the config with --smoke"])) from None
    _log_data(train, val, unlabeled)
    return RunImages(train, val, tuple(unlabeled))


def build_parts(config: Experiment, images: RunImages, load_weights: bool = True, clock: CoreClock | None = None) -> Parts:
    """Build the model and the proposer of a run.

    Args:
        config: The experiment.
        images: The data of the run.
        load_weights: Load the initial weights that the config names; a resumed run has its own.
        clock: Counts the core-minutes of the proposals.

    Raises:
        FileNotFoundError: If weights are not found; the message has the command that gets them.
        ValueError: If weights are invalid.
    """
    detector = config.model.build(len(images.train.class_names))
    if load_weights:
        _load_weights(detector, config, images.train.class_names)
    proposals = config.model.proposals_config
    proposer = None if proposals is None else TimedProposer(build_proposer(proposals), clock or CoreClock())
    return Parts(detector, images.train, images.val, images.unlabeled, proposer)


@dataclass(frozen=True, eq=False)
class RecordProposer:
    """A proposer with the arguments that a data set passes; it can be sent to a worker process."""

    proposer: TimedProposer

    def __call__(self, record: ImageRecord, image: NDArray[np.uint8]) -> Proposals:
        """Return the proposals of an image."""
        return self.proposer(image)


def build_distilled(
    config: Experiment, parts: Parts, detector: Detector, device: torch.device
) -> DistilledDetector | DistilledClassifier | None:
    """Combine the detector, which is on its device, with the teacher that the config names; None without a teacher.

    Raises:
        FileNotFoundError: If the teacher is not found.
        ValueError: If the two do not match.
    """
    if config.distillation is None:
        return None
    teacher = Teacher.load(config.distillation, device)
    if isinstance(detector, Classifier):
        return DistilledClassifier(detector, teacher, config.distillation, parts.class_names, config.model.preprocess)
    options = {"takes_unlabeled": bool(parts.unlabeled)}
    return DistilledDetector(detector, teacher, config.distillation, parts.class_names, config.model.preprocess, **options)


def run_data(
    config: Experiment, parts: Parts, processes: Processes, device: torch.device, is_stopping: Callable[[], bool] = lambda: False
) -> RunData:
    """Return the training data of one process.

    A single process that is asked to stop does not wait for its next batch; several processes make each step together.
    """
    train, labeled = append_unlabeled(parts.train, parts.unlabeled)
    repeats = config.data.labeled_repeats
    proposals, tiles = _record_proposer(config, parts), build_tiles(config, train, labeled)

    def batches(augmenter: Augmenter, start: int) -> Iterable[SampleBatch]:
        return build_loader(
            train,
            augmenter,
            config.loader,
            seed=config.seed,
            start_step=start,
            rank=processes.rank,
            world=processes.world,
            uneven=processes.elastic,
            pin_memory=device.type == "cuda",
            proposals=proposals,
            is_labeled=labeled,
            labeled_repeats=repeats,
            tiles=tiles,
            masks=config.model.learns_masks,
            is_stopping=is_stopping if processes.world == 1 else lambda: False,
        )

    plan, size = batch_plan(train, config.loader, config.seed, labeled, repeats, tiles=tiles), config.loader.images_per_batch
    resampled = config.loader.skip_empty or repeats > 1 or tiles is not None
    images = plan.steps_per_epoch * size if resampled else len(train)  # the length of an epoch, for limits given in epochs
    phases = _phases(config, batches)
    return RunData(phases[0].batches, size, images, records=parts.train, phases=phases)


def _record_proposer(config: Experiment, parts: Parts) -> RecordProposer | None:
    """Return the proposer of the training images; of tiles, which do not come again, no proposals are cached."""
    if parts.proposer is None or config.model.proposals_config is None or config.data.tiles is None:
        return None if parts.proposer is None else RecordProposer(parts.proposer)
    return RecordProposer(TimedProposer(build_proposer(config.model.proposals_config.replace(cache=None)), parts.proposer.clock))


def _phases(config: Experiment, batches: Callable[[Augmenter, int], Iterable[SampleBatch]]) -> tuple[Phase[SampleBatch], ...]:
    """Return the parts of the training with their own augmentation."""
    phases = []
    for start in (0.0, *config.augmentation.changes):
        augmentation = config.augmentation.at(start)
        augmenter = Augmenter(augmentation, config.model.preprocess)
        phases.append(Phase(start, partial(batches, augmenter), f"augmentation: {augmentation.describe()}"))
    return tuple(phases)


def checkpoint_header(config: Experiment, class_names: tuple[str, ...], data: DetectionData) -> dict[str, object]:
    """Return the header of the run's checkpoints."""
    more: dict[str, Any] = {"category_ids": dict(zip(class_names, data.category_ids, strict=True))}
    if config.model.segments:
        more["min_score"] = 0.0  # a region that is left out would leave a hole in the label map
    return make_header(config.model.to_json(), class_names, experiment=config.to_json(), **more)


def _check_unlabeled(config: Experiment) -> None:
    if config.data.unlabeled and config.distillation is None:
        raise ValueError("data.unlabeled: unlabeled images can only be used with a teacher; set distillation.teacher, or remove them")


def _log_data(train: DetectionData, val: DetectionData, unlabeled: Sequence[DetectionData]) -> None:
    """Log the data and its classes.

    Raises:
        ValueError: If no object is labeled in the training data.
    """
    _log.info("training data: %s: %d images, %d boxes", train.name, len(train), len(train.records.labels))
    _log.info("validation data: %s: %d images, %d boxes", val.name, len(val), len(val.records.labels))
    for data in unlabeled:
        _log.info("unlabeled data: %s: %d images", data.name, len(data))
    for line in ("classes (label, name, id in the data, training boxes):", *class_lines(train)):
        _log.info("%s", line)
    if not (~train.records.is_crowd).any():
        raise ValueError(
            f"training data {train.name}: expected at least one object that is not a crowd, got none in {len(train)} images; "
            "check the labels"
        )


def _load_weights(detector: Detector, config: Experiment, class_names: tuple[str, ...]) -> None:
    if config.weights is None:
        config.model.load_pretrained(detector)
    else:
        other = load_detector(config.weights)
        report = transfer(detector, class_names, other.detector.state_dict(), other.class_names)
        _log.info("weights from %s", config.weights)
        for line in report.summary():
            _log.info("  %s", line)
    embed_classes(detector, class_names)


def initial_state(config: Experiment, class_names: tuple[str, ...]) -> dict[str, Tensor]:
    """Return the weights and buffers that the run started with; the random generators are not changed."""
    with preserved_random_state():
        seed_everything(config.seed)
        detector = config.model.build(len(class_names))
        _load_weights(detector, config, class_names)
    return dict(detector.state_dict())


def _missing_weights(config: Experiment, load_weights: bool) -> list[str]:
    """Return the error about missing weights, so that one message can name everything that is missing."""
    if not load_weights:
        return []
    try:
        _load_weights(config.model.build(1), config, ("?",))
    except FileNotFoundError as error:
        return [str(error)]
    except ValueError:
        return []
    return []


def _missing_teacher(config: Experiment) -> list[str]:
    """Return the error about a missing teacher."""
    if config.distillation is None:
        return []
    try:
        Teacher.load(config.distillation, torch.device("cpu"))
    except FileNotFoundError as error:
        return [str(error)]
    except ValueError:
        return []
    return []

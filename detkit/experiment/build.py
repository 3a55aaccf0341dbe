"""From a config to the parts of a run."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detkit.checkpoint import make_header
from detkit.data import DetectionData, ImageRecord, class_lines
from detkit.data.augment import Augmenter
from detkit.data.loader import SampleBatch, batch_plan, build_loader
from detkit.data.splits import joined_report
from detkit.data.unlabeled import joined_records, load_unlabeled
from detkit.experiment.classified import read_data
from detkit.experiment.config import Experiment
from detkit.inference.loading import load_detector
from detkit.inference.proposals import build_proposer
from detkit.models.class_embeddings import embed_classes
from detkit.models.classifier import Classifier
from detkit.models.detector import Detector
from detkit.models.transfer import transfer
from detkit.proposals import Proposer
from detkit.structures import Proposals
from detkit.training.clock import CoreClock
from detkit.training.distillation import Teacher
from detkit.training.distilled import Distilled
from detkit.training.distilled_classifier import DistilledClassifier
from detkit.training.processes import Processes
from detkit.training.random_state import random_state_kept, seed_everything
from detkit.training.run import RunData

log = logging.getLogger("detkit.experiment")


@dataclass(frozen=True, eq=False)
class TimedProposer:
    """Gives the proposals of images, and books what they take; can be sent to a worker process, whose clock nobody asks."""

    proposer: Proposer
    clock: CoreClock

    def __call__(self, image: NDArray[np.uint8]) -> Proposals:
        """The proposals of a image."""
        with self.clock.spent_on("proposals"):
            return self.proposer(image)


@dataclass(frozen=True, eq=False)
class Parts:
    """What a run is made of.

    Attributes:
        detector: The model, with the numbers it starts from, on the CPU.
        train: What it learns from.
        val: What it is validated on, with the same classes.
        unlabeled: What a teacher tells it about.
        proposer: Tells it where to look, if it is a detector that is told.
    """

    detector: Detector
    train: DetectionData
    val: DetectionData
    unlabeled: tuple[DetectionData, ...] = ()
    proposer: TimedProposer | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of the labels."""
        return self.train.class_names


def build_parts(config: Experiment, fresh: bool = True, clock: CoreClock | None = None) -> Parts:
    """Read the data, tell its classes, and build the model.

    Args:
        config: The experiment.
        fresh: Fill the model with the weights that the config starts from; a resumed run has its own.
        clock: Where the making of proposals is booked.

    Raises:
        FileNotFoundError: data or weights are not on this machine; the message has the command that gets each.
        ValueError: something in them is beyond use.
    """
    _check_unlabeled(config)
    try:
        train, val = read_data(config)
        unlabeled = load_unlabeled(config.data.unlabeled, (train, val))
    except FileNotFoundError as error:
        missing = [str(error), *_missing_weights(config, fresh), *_missing_teacher(config)]
        raise FileNotFoundError("; ".join([*missing, "or try the config with --smoke"])) from None
    _tell_data(train, val, unlabeled)
    detector = config.model.build(len(train.class_names))
    if fresh:
        _fill(detector, config, train.class_names)
    told = config.model.proposals_config
    proposer = None if told is None else TimedProposer(build_proposer(told), clock or CoreClock())
    return Parts(detector, train, val, tuple(unlabeled), proposer)


@dataclass(frozen=True, eq=False)
class RecordProposer:
    """The proposals of records' images, as a data set asks for them; can be sent to a worker process."""

    proposer: TimedProposer

    def __call__(self, record: ImageRecord, image: NDArray[np.uint8]) -> Proposals:
        """The proposals of a image."""
        return self.proposer(image)


def distilled(config: Experiment, parts: Parts, detector: Detector, device: torch.device) -> Distilled | DistilledClassifier | None:
    """The detector, which is on its device, with the teacher that the config names, if it names one.

    Raises:
        FileNotFoundError: the teacher is not here.
        ValueError: the two do not fit together.
    """
    if config.distillation is None:
        return None
    teacher = Teacher.load(config.distillation, device)
    if isinstance(detector, Classifier):
        return DistilledClassifier(detector, teacher, config.distillation, parts.class_names, config.model.preprocess)
    known = {"takes_unlabeled": bool(parts.unlabeled)}
    return Distilled(detector, teacher, config.distillation, parts.class_names, config.model.preprocess, **known)


def run_data(config: Experiment, parts: Parts, processes: Processes, device: torch.device) -> RunData:
    """The batches of one process."""
    train, labeled = joined_records(parts.train, parts.unlabeled)
    more = {"is_labeled": labeled, "labeled_repeats": config.data.labeled_repeats}
    proposals = None if parts.proposer is None else RecordProposer(parts.proposer)
    augmenter = Augmenter(config.augmentation, config.model.preprocess)
    shared = {"rank": processes.rank, "world": processes.world, "pin_memory": device.type == "cuda"}

    def batches(start: int) -> Iterable[SampleBatch]:
        return build_loader(train, augmenter, config.loader, seed=config.seed, start_step=start, proposals=proposals, **shared, **more)  # type: ignore[arg-type]

    # The length of an epoch, for limits given in epochs.
    images = batch_plan(train, config.loader, config.seed, **more).steps_per_epoch * config.loader.batch_size  # type: ignore[arg-type]
    drawn = config.loader.skip_empty or config.data.labeled_repeats > 1
    return RunData(batches, config.loader.batch_size, images if drawn else len(train), records=parts.train)


def header(config: Experiment, class_names: tuple[str, ...], data: DetectionData) -> dict[str, object]:
    """The head of the run's checkpoints."""
    mapping = dict(zip(class_names, data.category_ids, strict=True))
    return make_header(config.model.to_json(), class_names, experiment=config.to_json(), category_ids=mapping)


def _check_unlabeled(config: Experiment) -> None:
    if config.data.unlabeled and config.distillation is None:
        raise ValueError(
            "data.unlabeled: nothing can be learned from images without labels unless a teacher tells of them; set distillation.teacher"
        )


def _tell_data(train: DetectionData, val: DetectionData, unlabeled: Sequence[DetectionData]) -> None:
    """Print the classes and what the readers left out.

    Raises:
        ValueError: no single object is labeled.
    """
    log.info("training data: %s: %d images, %d boxes", train.name, len(train), len(train.records.labels))
    log.info("validation data: %s: %d images, %d boxes", val.name, len(val), len(val.records.labels))
    for data in unlabeled:
        log.info("unlabeled data: %s: %d images", data.name, len(data))
    for line in (*joined_report([train, val, *unlabeled]), "classes, by number in the model:", *class_lines(train)):
        log.info("%s", line)
    if not (~train.records.is_crowd).any():
        raise ValueError(
            f"training data {train.name}: only crowds in its {len(train)} images, so there is nothing to learn; check the labels"
        )
    if not (~val.records.is_crowd).any():
        log.warning(
            "warning: validation data %s: no object in its %d images, so that no evaluation gives a number and the first counts as the "
            "best; take labeled images: data.val, or another data.val_fraction",
            val.name,
            len(val),
        )


def _fill(detector: Detector, config: Experiment, class_names: tuple[str, ...]) -> None:
    if config.weights is None:
        config.model.load_pretrained(detector)
    else:
        other, _, other_names = load_detector(config.weights)
        report = transfer(detector, class_names, other.state_dict(), other_names)
        log.info("weights from %s", config.weights)
        for line in report.summary():
            log.info("  %s", line)
    embed_classes(detector, class_names)


def fresh_state(config: Experiment, class_names: tuple[str, ...]) -> dict[str, Tensor]:
    """The detector's numbers as the run began with; random generators stay where they are."""
    with random_state_kept():
        seed_everything(config.seed)
        detector = config.model.build(len(class_names))
        _fill(detector, config, class_names)
    return dict(detector.state_dict())


def _missing_weights(config: Experiment, fresh: bool) -> list[str]:
    """What would be missing next, so that one message tells all."""
    if not fresh:
        return []
    try:
        _fill(config.model.build(1), config, ("?",))
    except FileNotFoundError as error:
        return [str(error)]
    except ValueError:
        return []
    return []


def _missing_teacher(config: Experiment) -> list[str]:
    """What would be missing after that."""
    if config.distillation is None:
        return []
    try:
        Teacher.load(config.distillation, torch.device("cpu"))
    except FileNotFoundError as error:
        return [str(error)]
    except ValueError:
        return []
    return []

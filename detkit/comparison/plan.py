"""The plan of a comparison: its protocol, what is compared, and the runs that follow from both; exact as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from detkit.config import Config
from detkit.experiment.config import Experiment
from detkit.weights import EMBEDDED

DEFAULT_BUDGET, DEFAULT_SEEDS = 10.0, 3
HELD_OUT = 0.15
"""Fraction of the images for validation, and for testing, if the data has no such splits."""

Init = Literal["imagenet", "coco", "scratch"]


class Protocol(Config):
    """The conditions that are equal for all."""

    data: str
    """The labeled data."""
    images: str | None = None
    """Folder of the images; none: where the labels say."""
    budget: float | None = Field(default=None, gt=0)
    """Core-minutes of each training."""
    steps: int | None = Field(default=None, ge=1)
    """Optimizer steps of each training, instead of a budget."""
    seeds: int = Field(default=DEFAULT_SEEDS, ge=1)
    """Trainings of each config, with the seeds 0, 1, ..."""
    init: Init | None = None
    """Initial weights of all trainings; none: as configured."""
    backbone: str | None = None
    """Backbone of all trainings; none: as configured."""
    overrides: tuple[str, ...] = ()
    """Config keys of all trainings, as ``key=value``."""
    fractions: tuple[float, ...] = ()
    """Fractions of the training images to train on; none: all images."""
    halving: bool = False
    """Stop the worse half after a quarter of the training, and after a half."""
    val_fraction: float = Field(default=HELD_OUT, gt=0, lt=1)
    """Fraction of the images held out for validation, if the data has no such split."""
    test_fraction: float = Field(default=HELD_OUT, gt=0, lt=1)
    """Fraction of the images held out for testing, if the data has no such split."""
    split_seed: int = 0
    """Seed of the choice of held-out images."""
    device: str = "auto"
    """Device of trainings and evaluations."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Number format of evaluations."""
    runtime: Literal["torch", "onnx", "openvino", "auto"] | None = None
    """Runtime of evaluations and of the measured times; none: PyTorch, and for exported files their own."""

    @property
    def length(self) -> str:
        """The length of a training, in words."""
        return f"{self.budget:g} core-minutes" if self.budget is not None else f"{self.steps:,} steps"


class Entry(Config):
    """One thing that is compared."""

    name: str
    """Its name in tables."""
    slug: str
    """Its name in file names."""
    source: str
    """The config, run, checkpoint or file as typed."""
    kind: Literal["config", "detector", "results"]
    """``config``: trained first; ``detector`` and ``results``: evaluated as it is."""
    overrides: tuple[str, ...] = ()
    """Config keys of this entry alone, as ``key=value``."""
    experiment: Experiment | None = None
    """The complete config of a training, without data, seed and folder."""
    year: float | None = None
    """When the method was published."""
    title: str = ""
    """Name of the method."""
    trials: str = ""
    """Runs by which its hyper-parameters were chosen."""


class Plan(Config):
    """A protocol and the entries that it applies to."""

    protocol: Protocol
    entries: tuple[Entry, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Unit:
    """One training or evaluation of an entry.

    Attributes:
        entry: The entry.
        seed: Seed of the training; None for what is evaluated as it is.
        fraction: Fraction of the training images.
    """

    entry: Entry
    seed: int | None = None
    fraction: float = 1.0

    @property
    def name(self) -> str:
        """Name of the unit's folder."""
        if self.seed is None:
            return self.entry.slug
        part = "" if self.fraction == 1 else f"-images{self.fraction:.4g}"
        return f"{self.entry.slug}{part}-seed{self.seed}"

    @property
    def is_training(self) -> bool:
        """Whether a detector is trained first."""
        return self.entry.kind == "config"


def units(plan: Plan) -> tuple[Unit, ...]:
    """Return all trainings and evaluations: the first seed of every entry, then the second, so that early results cover all entries."""
    given = [Unit(entry) for entry in plan.entries if entry.kind != "config"]
    fractions = plan.protocol.fractions or (1.0,)
    trained = [
        Unit(entry, seed, fraction)
        for seed in range(plan.protocol.seeds)
        for fraction in fractions
        for entry in plan.entries
        if entry.kind == "config"
    ]
    return (*given, *trained)


def price(plan: Plan) -> float | None:
    """Return the core-minutes of all trainings; None if they are limited by steps."""
    count = sum(unit.is_training for unit in units(plan))
    return None if plan.protocol.budget is None else count * plan.protocol.budget


def start_of(entry: Entry) -> str:
    """Return where a training starts: ImageNet, COCO, the name of weights, or scratch; empty for what is not trained."""
    experiment = entry.experiment
    if experiment is None:
        return ""
    if experiment.weights is not None:
        return "COCO" if experiment.weights == EMBEDDED else experiment.weights
    backbone = getattr(experiment.model, "backbone", None)
    if backbone is None or backbone.weights is None:
        return "scratch"
    return "ImageNet" if backbone.weights == "default" else str(backbone.weights)

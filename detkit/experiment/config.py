"""The one config that names everything about a run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from detkit.config import Config
from detkit.data import DataConfig
from detkit.data.augment import AugmentationConfig
from detkit.data.loader import LoaderConfig
from detkit.models.detector import AnyDetectorConfig, DetectorConfig
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.training.config import TrainingConfig
from detkit.training.distillation import DistillationConfig
from detkit.training.fitted_stages import BoxRegressionStage, SVMStage
from detkit.training.optimizer import OptimizerConfig, SGDConfig
from detkit.training.ridge import RidgeConfig
from detkit.training.schedule import MultistepConfig, ScheduleConfig
from detkit.training.shares import split_budget
from detkit.training.stages import GradientStage
from detkit.training.svm import SVMConfig
from detkit.training.validation import EvaluationConfig

if TYPE_CHECKING:
    AnyModel = DetectorConfig
else:
    AnyModel = AnyDetectorConfig


class GradientStageConfig(Config):
    """A stage of gradient steps; what it does not set is the experiment's."""

    kind: Literal["gradient"] = "gradient"
    """Which stage this is."""
    name: str = "gradient"
    """What the log calls it."""
    frozen: tuple[str, ...] = ()
    """Parts of the detector that stay as they are: prefixes of parameter names, such as ``neck`` or ``rpn``."""
    trains: Literal["all", "rpn", "region"] = "all"
    """Of Faster R-CNN: both stages, or the region proposal network alone, or the classifier of regions alone; the other's layers stay."""
    proposals_from: Literal["current", "start_of_stage"] = "current"
    """Where to look, while ``region`` learns alone: what the detector proposes, or what it proposed before this stage began."""
    reset: tuple[str, ...] = ()
    """Parts that begin again with the numbers that the run began with: prefixes of parameter names, such as ``neck``."""
    training: TrainingConfig | None = None
    """Limits, precision, what is kept."""
    optimizer: OptimizerConfig | None = None
    """Which rule moves the weights."""
    schedule: ScheduleConfig | None = None
    """How its rate changes."""
    budget_share: float | None = Field(default=None, gt=0, le=1)
    """Part of ``training.budget`` that it may take, beside what earlier stages leave; none: its part of what the others do not claim."""

    def build(self, experiment: Experiment) -> GradientStage:
        """The stage, completed by the experiment."""
        return GradientStage(
            self.training or experiment.training,
            self.optimizer or experiment.optimizer,
            self.schedule or experiment.schedule,
            self.frozen,
            self.name,
            self.budget_share,
            self.trains,
            self.proposals_from,
            self.reset,
        )


class SVMStageConfig(Config):
    """A stage that fits one linear SVM a class to what the network sees of each region, as R-CNN does after fine-tuning."""

    kind: Literal["svm"] = "svm"
    """Which stage this is."""
    name: str = "svm"
    """What the log, and ``--stage``, call it."""
    svm: SVMConfig = SVMConfig()
    """The numbers."""
    cache_megabytes: float = Field(default=20_000.0, ge=0)
    """What the features in the run's folder may take on disk, in units of 10^6 bytes; what does not fit is made again for each pass."""
    budget_share: float | None = Field(default=0.3, gt=0, le=1)
    """Part of ``training.budget`` that it may take, the making of features included, beside what earlier stages leave. When it runs
    short, features of fewer images are made, and the SVMs are fitted to those."""

    def build(self, experiment: Experiment) -> SVMStage:
        """The stage, completed by the experiment."""
        return SVMStage(experiment.training, self.cache_megabytes, self.name, self.budget_share, self.svm)


class BoxRegressionStageConfig(Config):
    """A stage that fits one ridge regressor of boxes a class."""

    kind: Literal["boxes"] = "boxes"
    """Which stage this is."""
    name: str = "boxes"
    """What the log, and ``--stage``, call it."""
    ridge: RidgeConfig = RidgeConfig()
    """The numbers."""
    cache_megabytes: float = Field(default=20_000.0, ge=0)
    """What the features in the run's folder may take on disk, in units of 10^6 bytes; what does not fit is made again for each pass."""
    budget_share: float | None = Field(default=0.1, gt=0, le=1)
    """Part of ``training.budget`` that it may take, beside what earlier stages leave."""

    def build(self, experiment: Experiment) -> BoxRegressionStage:
        """The stage, completed by the experiment."""
        return BoxRegressionStage(experiment.training, self.cache_megabytes, self.name, self.budget_share, self.ridge)


def _stage_kind(stage: Any) -> str:
    """The kind of a stage; configs that were written before there were several have none."""
    return str(stage.get("kind", "gradient") if isinstance(stage, dict) else getattr(stage, "kind", "gradient"))


StageConfig = Annotated[
    Annotated[GradientStageConfig, Tag("gradient")]
    | Annotated[SVMStageConfig, Tag("svm")]
    | Annotated[BoxRegressionStageConfig, Tag("boxes")],
    Discriminator(_stage_kind),
]


class Experiment(Config):
    """A model, its data, and how the one learns from the other. A config file binds ``config`` to one."""

    name: str = "experiment"
    """Its runs are written to ``runs/NAME-1``, ``runs/NAME-2`` and so on."""
    model: AnyModel = FasterRCNNConfig()
    """The detector."""
    data: DataConfig = DataConfig()
    """What it learns from and what it is validated on."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """What is done to training images."""
    loader: LoaderConfig = LoaderConfig()
    """How images become batches."""
    optimizer: OptimizerConfig = SGDConfig()
    """Which rule moves the weights."""
    schedule: ScheduleConfig = MultistepConfig()
    """How the learning rate changes."""
    training: TrainingConfig = TrainingConfig()
    """How long, in what precision, and what is kept."""
    distillation: DistillationConfig | None = None
    """A teacher, whom it imitates beside learning from labels; unlabeled images need one."""
    stages: tuple[StageConfig, ...] = Field(default=(GradientStageConfig(),), min_length=1)
    """The parts of the training, in order; one of gradient steps unless a method needs more."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How it is validated."""
    weights: str | None = None
    """Start from a detector: a checkpoint, a run's folder, or a name that ``detkit weights`` lists; else from the backbone's weights."""
    output: str | None = None
    """The run's folder, instead of the next free one under ``runs``."""
    seed: int = 0
    """Every random choice of the run depends on it."""

    @field_validator("stages")
    @classmethod
    def _share_one_budget(cls, value: tuple[StageConfig, ...]) -> tuple[StageConfig, ...]:
        split_budget([stage.budget_share for stage in value])
        return value

    @field_validator("name")
    @classmethod
    def _is_a_file_name(cls, value: str) -> str:
        if not re.fullmatch(r"[\w.+-]+", value):
            raise ValueError(f"expected letters, digits, and . _ + -, as it names a folder; got {value!r}")
        return value

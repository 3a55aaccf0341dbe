"""The config that describes everything about a run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from detkit.config import Config
from detkit.data import DataConfig
from detkit.data.augment import AugmentationConfig
from detkit.data.loader import LoaderConfig
from detkit.models.detector import AnyDetectorConfig, DetectorConfig
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.training.config import TrainingConfig
from detkit.training.distillation.config import DistillationConfig
from detkit.training.fitting.ridge import RidgeConfig
from detkit.training.fitting.stages import BoxRegressionStage, SVMStage
from detkit.training.fitting.svm import SVMConfig
from detkit.training.optim.optimizer import OptimizerConfig, SGDConfig
from detkit.training.optim.schedule import MultistepConfig, ScheduleConfig
from detkit.training.stages import GradientStage, split_budget
from detkit.training.validation import EvaluationConfig

if TYPE_CHECKING:
    AnyModel = DetectorConfig

    class DataField(DataConfig):
        """For type checkers: a :class:`DataConfig` that the constructor also takes as the path of a folder."""

        def __get__(self, owner: object, kind: object = None) -> DataConfig: ...
        def __set__(self, owner: object, value: DataConfig | str | Path) -> None: ...

else:
    AnyModel = AnyDetectorConfig
    DataField = DataConfig


class GradientStageConfig(Config):
    """A stage of gradient steps; settings that are not set are those of the experiment."""

    kind: Literal["gradient"] = "gradient"
    """Kind of the stage."""
    name: str = "gradient"
    """Name in the log and for ``--stage``."""
    frozen: tuple[str, ...] = ()
    """Parts of the detector to freeze: prefixes of parameter names, such as ``neck`` or ``rpn``."""
    trains: Literal["all", "rpn", "region"] = "all"
    """Faster R-CNN only: train everything, only the region proposal network, or only the region classifier; the layers of the other part
    are frozen."""
    proposals_from: Literal["current", "start_of_stage"] = "current"
    """Source of the proposals while ``region`` is trained alone: the current detector, or the detector as it was before this stage."""
    reset: tuple[str, ...] = ()
    """Parts to reset to the initial weights of the run: prefixes of parameter names, such as ``neck``."""
    training: TrainingConfig | None = None
    """Limits, precision, evaluations and checkpoints."""
    optimizer: OptimizerConfig | None = None
    """The optimizer."""
    schedule: ScheduleConfig | None = None
    """The learning rate schedule."""
    budget_share: float | None = Field(default=None, gt=0, le=1)
    """Fraction of ``training.budget`` for this stage, in addition to what earlier stages leave; none: an equal share of the fraction that
    the other stages do not claim."""

    def build(self, experiment: Experiment) -> GradientStage:
        """Build the stage, with the settings of the experiment where it has none."""
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


class _FittedStageConfig(Config):
    cache_megabytes: float = Field(default=20_000.0, ge=0)
    """Disk space for features in the run's folder, in units of 10^6 bytes; features that do not fit are recomputed in each pass."""


class SVMStageConfig(_FittedStageConfig):
    """A stage that fits one linear SVM per class to the features of regions, as R-CNN does after fine-tuning."""

    kind: Literal["svm"] = "svm"
    """Kind of the stage."""
    name: str = "svm"
    """Name in the log and for ``--stage``."""
    svm: SVMConfig = SVMConfig()
    """Settings of the SVMs."""
    budget_share: float | None = Field(default=0.3, gt=0, le=1)
    """Fraction of ``training.budget`` for this stage, including the computation of features, in addition to what earlier stages leave. If
    it is not enough, the SVMs are fitted to the features of fewer images."""

    def build(self, experiment: Experiment) -> SVMStage:
        """Build the stage, with the training settings of the experiment."""
        return SVMStage(experiment.training, self.cache_megabytes, self.name, self.budget_share, self.svm)


class BoxRegressionStageConfig(_FittedStageConfig):
    """A stage that fits one ridge regressor of boxes per class."""

    kind: Literal["boxes"] = "boxes"
    """Kind of the stage."""
    name: str = "boxes"
    """Name in the log and for ``--stage``."""
    ridge: RidgeConfig = RidgeConfig()
    """Settings of the regressors."""
    budget_share: float | None = Field(default=0.1, gt=0, le=1)
    """Fraction of ``training.budget`` for this stage, in addition to what earlier stages leave."""

    def build(self, experiment: Experiment) -> BoxRegressionStage:
        """Build the stage, with the training settings of the experiment."""
        return BoxRegressionStage(experiment.training, self.cache_megabytes, self.name, self.budget_share, self.ridge)


def _stage_kind(stage: Any) -> str:
    """Return the kind of a stage; configs from before there were several kinds have none."""
    return str(stage.get("kind", "gradient") if isinstance(stage, dict) else getattr(stage, "kind", "gradient"))


StageConfig = Annotated[
    Annotated[GradientStageConfig, Tag("gradient")]
    | Annotated[SVMStageConfig, Tag("svm")]
    | Annotated[BoxRegressionStageConfig, Tag("boxes")],
    Discriminator(_stage_kind),
]


class Experiment(Config):
    """A model, its data and its training settings. A config file binds an instance to the name ``config``."""

    name: str = "experiment"
    """Name of the runs, which are written to ``runs/NAME-1``, ``runs/NAME-2`` and so on."""
    model: AnyModel = FasterRCNNConfig()
    """The model."""
    data: DataField = DataConfig()  # type: ignore[assignment]
    """Training and validation data."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """Augmentation of training images."""
    loader: LoaderConfig = LoaderConfig()
    """Batches and worker processes."""
    optimizer: OptimizerConfig = SGDConfig()
    """The optimizer."""
    schedule: ScheduleConfig = MultistepConfig()
    """The learning rate schedule."""
    training: TrainingConfig = TrainingConfig()
    """Limits, precision, evaluations and checkpoints."""
    distillation: DistillationConfig | None = None
    """Distillation from a teacher, in addition to learning from labels; required for unlabeled images."""
    stages: tuple[StageConfig, ...] = Field(default=(GradientStageConfig(),), min_length=1)
    """The stages of the training, in order; one stage of gradient steps unless the method needs more."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Evaluations during the run."""
    weights: str | None = None
    """Start from a trained detector: a checkpoint, a run folder, or a name that ``detkit models`` lists; none: from the backbone's
    weights."""
    output: str | None = None
    """Folder of the run, instead of the next free one under ``runs``."""
    seed: int = 0
    """Seed of all random choices of the run."""

    @field_validator("stages")
    @classmethod
    def _check_budget_shares(cls, value: tuple[StageConfig, ...]) -> tuple[StageConfig, ...]:
        split_budget([stage.budget_share for stage in value])
        return value

    @field_validator("name")
    @classmethod
    def _check_file_name(cls, value: str) -> str:
        if not re.fullmatch(r"[\w.+-]+", value):
            raise ValueError(f"expected letters, digits, and . _ + -, as it names a folder; got {value!r}")
        return value

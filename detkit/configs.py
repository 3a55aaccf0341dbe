"""Everything that a config file names, in one place: ``from detkit.configs import Experiment, FasterRCNNConfig``."""

from detkit.backbones import BackboneConfig
from detkit.config import load_config
from detkit.data import DataConfig, SourceConfig
from detkit.data.augment.config import (
    AugmentationConfig,
    FixedSizeConfig,
    IoUCropConfig,
    JitterConfig,
    KeepSizeConfig,
    MixupConfig,
    ModelSizeConfig,
    MosaicConfig,
    PhotometricConfig,
    RotationConfig,
    ShortSideConfig,
    ZoomOutConfig,
)
from detkit.data.loader import LoaderConfig
from detkit.experiment.config import Experiment, GradientStageConfig
from detkit.heads.anchors import AnchorConfig
from detkit.heads.choice import ChoiceConfig
from detkit.heads.detr import DETRHeadConfig
from detkit.heads.fcos import FCOSHeadConfig
from detkit.heads.focal import FocalConfig
from detkit.heads.region import ConvFCConfig, TwoFCConfig
from detkit.heads.region_classifier import RegionConfig
from detkit.heads.retinanet import RetinaNetHeadConfig
from detkit.heads.rpn import RPNConfig
from detkit.models import presets, presets_detr
from detkit.models.detr import DETRConfig
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.models.fcos import FCOSConfig
from detkit.models.retinanet import RetinaNetConfig
from detkit.necks import FPNConfig, SingleLevelConfig
from detkit.preprocess import PreprocessConfig
from detkit.training.config import EarlyStoppingConfig, EMAConfig, TrainingConfig
from detkit.training.distillation import DistillationConfig
from detkit.training.optimizer import AdamWConfig, SGDConfig
from detkit.training.schedule import CosineConfig, MultistepConfig
from detkit.training.validation import EvaluationConfig

__all__ = [
    "AdamWConfig",
    "AnchorConfig",
    "AugmentationConfig",
    "BackboneConfig",
    "ChoiceConfig",
    "ConvFCConfig",
    "CosineConfig",
    "DETRConfig",
    "DETRHeadConfig",
    "DataConfig",
    "DistillationConfig",
    "EMAConfig",
    "EarlyStoppingConfig",
    "EvaluationConfig",
    "Experiment",
    "FCOSConfig",
    "FCOSHeadConfig",
    "FPNConfig",
    "FasterRCNNConfig",
    "FixedSizeConfig",
    "FocalConfig",
    "GradientStageConfig",
    "IoUCropConfig",
    "JitterConfig",
    "KeepSizeConfig",
    "LoaderConfig",
    "MixupConfig",
    "ModelSizeConfig",
    "MosaicConfig",
    "MultistepConfig",
    "PhotometricConfig",
    "PreprocessConfig",
    "RPNConfig",
    "RegionConfig",
    "RetinaNetConfig",
    "RetinaNetHeadConfig",
    "RotationConfig",
    "SGDConfig",
    "ShortSideConfig",
    "SingleLevelConfig",
    "SourceConfig",
    "TrainingConfig",
    "TwoFCConfig",
    "ZoomOutConfig",
    "load_config",
    "presets",
    "presets_detr",
]

"""All classes that a config file uses, in one module: ``from detkit.config_classes import Experiment, FasterRCNNConfig``."""

from detkit.backbones import BackboneConfig
from detkit.config import load_config
from detkit.data import DataConfig, SourceConfig
from detkit.data.augment.config import AugmentationConfig, FixedSizeConfig, JitterConfig, KeepSizeConfig, ModelSizeConfig, ShortSideConfig
from detkit.data.augment.transforms import IoUCropConfig, MixupConfig, MosaicConfig, PhotometricConfig, RotationConfig, ZoomOutConfig
from detkit.data.crops import CropConfig
from detkit.data.loader import LoaderConfig
from detkit.data.tiles import TileConfig
from detkit.experiment.config import BoxRegressionStageConfig, Experiment, GradientStageConfig, SVMStageConfig
from detkit.heads.anchors import AnchorConfig
from detkit.heads.default_boxes import DefaultBoxConfig
from detkit.heads.dense_config import FocalConfig
from detkit.heads.fcos import FCOSHeadConfig
from detkit.heads.postprocess import PostprocessConfig
from detkit.heads.queries.denoising import DenoisingConfig
from detkit.heads.queries.detr import DETRHeadConfig
from detkit.heads.queries.dfine import DFINEHeadConfig
from detkit.heads.queries.losses import QueryLossConfig, QueryMatchingConfig
from detkit.heads.queries.rtdetr import RTDETRHeadConfig
from detkit.heads.region.classifier import RegionConfig
from detkit.heads.region.fitted import FittedConfig
from detkit.heads.region.layers import ConvFCConfig, ConvPoolConfig, FlatConfig, TwoFCConfig
from detkit.heads.region.mask import MaskHeadConfig
from detkit.heads.retinanet import RetinaNetHeadConfig
from detkit.heads.rpn import RPNConfig
from detkit.heads.semantic.losses import PixelLossConfig
from detkit.heads.ssd import SSDHeadConfig
from detkit.heads.text_classes import TextClassesConfig
from detkit.heads.yolov1 import YOLOv1HeadConfig
from detkit.heads.yolox import YOLOXHeadConfig
from detkit.models import presets
from detkit.models.classifier import ClassifierConfig
from detkit.models.clip.classifier import CLIPConfig
from detkit.models.clip.rcnn import CLIPRCNNConfig
from detkit.models.detr import DETRConfig
from detkit.models.dfine import DFINEConfig
from detkit.models.fast_rcnn import FastRCNNConfig
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.models.fcos import FCOSConfig
from detkit.models.mask_rcnn import MaskRCNNConfig
from detkit.models.rcnn import RCNNConfig
from detkit.models.retinanet import RetinaNetConfig
from detkit.models.rtdetr import RTDETRConfig
from detkit.models.semantic.contracting_path import PaperUNetConfig
from detkit.models.semantic.fcn import FCNConfig
from detkit.models.semantic.unet import UNetConfig, UNetDecoderConfig
from detkit.models.sppnet import FIVE_SCALES, SPPNetConfig
from detkit.models.ssd import SSDConfig
from detkit.models.yolov1 import YOLOv1Config
from detkit.models.yolox import YOLOXConfig
from detkit.necks import (
    ExtraLevelConfig,
    FPNConfig,
    HybridEncoderConfig,
    LightPANConfig,
    LiteEncoderConfig,
    PANConfig,
    SingleLevelConfig,
    SSDExtrasConfig,
    YOLOv1NeckConfig,
)
from detkit.preprocess import PreprocessConfig
from detkit.proposals import ProposalsConfig
from detkit.training.config import EarlyStoppingConfig, EMAConfig, EMARestartConfig, TrainingConfig
from detkit.training.distillation.config import DistillationConfig
from detkit.training.fitting.ridge import RidgeConfig
from detkit.training.fitting.svm import SVMConfig
from detkit.training.multi_scale import MultiScaleConfig
from detkit.training.optim.groups import ParameterGroupConfig
from detkit.training.optim.optimizer import AdamWConfig, SGDConfig
from detkit.training.optim.schedule import CosineConfig, FlatCosineConfig, MultistepConfig
from detkit.training.validation import EvaluationConfig

__all__ = [
    "FIVE_SCALES",
    "AdamWConfig",
    "AnchorConfig",
    "AugmentationConfig",
    "BackboneConfig",
    "BoxRegressionStageConfig",
    "CLIPConfig",
    "CLIPRCNNConfig",
    "ClassifierConfig",
    "ConvFCConfig",
    "ConvPoolConfig",
    "CosineConfig",
    "CropConfig",
    "DETRConfig",
    "DETRHeadConfig",
    "DFINEConfig",
    "DFINEHeadConfig",
    "DataConfig",
    "DefaultBoxConfig",
    "DenoisingConfig",
    "DistillationConfig",
    "EMAConfig",
    "EMARestartConfig",
    "EarlyStoppingConfig",
    "EvaluationConfig",
    "Experiment",
    "ExtraLevelConfig",
    "FCNConfig",
    "FCOSConfig",
    "FCOSHeadConfig",
    "FPNConfig",
    "FastRCNNConfig",
    "FasterRCNNConfig",
    "FittedConfig",
    "FixedSizeConfig",
    "FlatConfig",
    "FlatCosineConfig",
    "FocalConfig",
    "GradientStageConfig",
    "HybridEncoderConfig",
    "IoUCropConfig",
    "JitterConfig",
    "KeepSizeConfig",
    "LightPANConfig",
    "LiteEncoderConfig",
    "LoaderConfig",
    "MaskHeadConfig",
    "MaskRCNNConfig",
    "MixupConfig",
    "ModelSizeConfig",
    "MosaicConfig",
    "MultiScaleConfig",
    "MultistepConfig",
    "PANConfig",
    "PaperUNetConfig",
    "ParameterGroupConfig",
    "PhotometricConfig",
    "PixelLossConfig",
    "PostprocessConfig",
    "PreprocessConfig",
    "ProposalsConfig",
    "QueryLossConfig",
    "QueryMatchingConfig",
    "RCNNConfig",
    "RPNConfig",
    "RTDETRConfig",
    "RTDETRHeadConfig",
    "RegionConfig",
    "RetinaNetConfig",
    "RetinaNetHeadConfig",
    "RidgeConfig",
    "RotationConfig",
    "SGDConfig",
    "SPPNetConfig",
    "SSDConfig",
    "SSDExtrasConfig",
    "SSDHeadConfig",
    "SVMConfig",
    "SVMStageConfig",
    "ShortSideConfig",
    "SingleLevelConfig",
    "SourceConfig",
    "TextClassesConfig",
    "TileConfig",
    "TrainingConfig",
    "TwoFCConfig",
    "UNetConfig",
    "UNetDecoderConfig",
    "YOLOXConfig",
    "YOLOXHeadConfig",
    "YOLOv1Config",
    "YOLOv1HeadConfig",
    "YOLOv1NeckConfig",
    "ZoomOutConfig",
    "load_config",
    "presets",
]

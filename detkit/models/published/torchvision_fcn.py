"""Conversion of torchvision's file of FCN on a ResNet-50, which was trained on COCO's images with the classes of Pascal VOC."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from detkit.backbones import BackboneConfig
from detkit.models.published.conversion import Publication, Renaming, rename_tensors
from detkit.models.semantic.fcn import FCNConfig
from detkit.preprocess import PreprocessConfig

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog", "horse"),
    *("motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""Classes 1 to 20 of the file; class 0 is background."""
_NAMES: tuple[Renaming, ...] = (
    (r"backbone\.(.*)", r"neck.backbone.\1"),
    (r"classifier\.4\.(.*)", r"head.logits.\1"),
    (r"classifier\.(.*)", r"head.features.\1"),
    (r"aux_classifier\.4\.(.*)", r"auxiliary.logits.\1"),
    (r"aux_classifier\.(.*)", r"auxiliary.features.\1"),
)


def convert(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a state dict of torchvision's ``fcn_resnet50``, and move background from class 0 to class K."""
    renamed = rename_tensors(tensors, _NAMES)
    return {name: tensor.roll(-1, 0) if ".logits." in name else tensor for name, tensor in renamed.items()}


def resnet50_voc() -> Publication:
    """Return the publication of ``FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1``; images have a short side of 520 pixels."""
    backbone = BackboneConfig(
        name="resnet50", weights=None, levels=("c4", "c5"), dilated_c4=True, dilated_c5=True, frozen_stages=0, norm="train"
    )
    preprocess = PreprocessConfig(short_side=520, long_side=1040)
    config = FCNConfig(preprocess=preprocess, backbone=backbone, auxiliary_weight=0.5)
    return Publication(config, VOC_CLASSES, convert)

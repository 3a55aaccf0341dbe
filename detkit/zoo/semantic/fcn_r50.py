"""FCN on a dilated ResNet-50 in the form of torchvision's ``fcn_resnet50``: maps of stride 8, and an auxiliary head in training.

    detkit train fcn_r50 data=FOLDER

FOLDER is labeled data with masks in any format. With ``model.backbone.dilated_c4=false`` maps have stride 16, and cost less. The network
of the paper with skips, FCN-8s, on a backbone that is not dilated: ``model.head=skips model.auxiliary_weight=0
model.backbone.levels=c3,c4,c5 model.backbone.dilated_c4=false model.backbone.dilated_c5=false``.

Result: not yet run.
"""

from detkit.config_classes import AugmentationConfig, BackboneConfig, FCNConfig, JitterConfig, SGDConfig
from detkit.zoo.semantic.unet_lite0 import config as base

config = base.replace(
    name="fcn_r50",
    model=FCNConfig(
        backbone=BackboneConfig(name="resnet50", levels=("c4", "c5"), dilated_c4=True, dilated_c5=True, frozen_stages=0, norm="train"),
        auxiliary_weight=0.5,
    ),
    augmentation=AugmentationConfig(preset="flip", resize=JitterConfig(size=None, scale=(0.5, 2.0))),
    optimizer=SGDConfig(lr=0.01, reference_batch_size=8),
)

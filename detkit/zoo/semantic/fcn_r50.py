"""FCN on a dilated ResNet-50: torchvision's head of ``fcn_resnet50``, on maps of stride 16.

    detkit train fcn_r50 data=FOLDER

FOLDER is labeled data with masks in any format.

Result: not yet run.
"""

from detkit.config_classes import AugmentationConfig, FCNConfig, JitterConfig, SGDConfig
from detkit.zoo.semantic.unet_lite0 import config as base

config = base.replace(
    name="fcn_r50",
    model=FCNConfig(),
    augmentation=AugmentationConfig(preset="flip", resize=JitterConfig(size=None, scale=(0.5, 2.0))),
    optimizer=SGDConfig(lr=0.01, reference_batch_size=8),
)

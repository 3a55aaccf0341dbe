"""Second-generation Faster R-CNN of torchvision (batch norm everywhere, deeper heads), for COCO, with large-scale jitter.

    detkit data fetch coco data/coco
    detkit models download resnet50_v2
    detkit train fpn_r50_v2

Result: not yet run. torchvision publishes AP 46.7 on val2017 for this model after a much longer training.
"""

from detkit.config_classes import AdamWConfig, AugmentationConfig, CosineConfig, EMAConfig, TrainingConfig, presets
from detkit.zoo.two_stage.fpn_r50 import config as base

config = base.replace(
    name="fpn_r50_v2",
    model=presets.fasterrcnn_resnet50_fpn_v2(),
    augmentation=AugmentationConfig(preset="lsj"),
    optimizer=AdamWConfig(lr=1e-4),
    schedule=CosineConfig(),
    training=TrainingConfig(epochs=50, ema=EMAConfig()),
)

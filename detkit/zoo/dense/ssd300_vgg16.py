"""SSD300 on VGG16, for COCO, with the numbers of torchvision's reference training.

    detkit data fetch coco data/coco
    detkit models download vgg16_caffe
    detkit train ssd300_vgg16

Another backbone: ``model.backbone.name=resnet50``. The paper's default boxes for Pascal VOC: ``presets.ssd300_vgg16_voc``.

Result: not yet run. torchvision publishes AP 25.1 on val2017 for this model and schedule.
"""

from detkit.config_classes import (
    AugmentationConfig,
    LoaderConfig,
    MultistepConfig,
    SGDConfig,
    TrainingConfig,
    presets,
)
from detkit.zoo.two_stage.fpn_r50 import config as base

config = base.replace(
    name="ssd300_vgg16",
    model=presets.ssd300_vgg16(),
    augmentation=AugmentationConfig(preset="ssd"),
    loader=LoaderConfig(batch_size=32, workers=4, skip_empty=True),
    optimizer=SGDConfig(lr=0.002, reference_batch_size=32, weight_decay=5e-4),
    schedule=MultistepConfig(milestones=(80 / 120, 110 / 120)),
    training=TrainingConfig(epochs=120),
)

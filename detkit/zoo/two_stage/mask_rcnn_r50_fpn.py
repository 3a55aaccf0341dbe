"""Mask R-CNN on a ResNet-50 FPN, for COCO: the schedule of torchvision's reference training.

    detkit data fetch coco data/coco
    detkit models download resnet50
    detkit train mask_rcnn_r50_fpn

On data of your own with polygons or masks: ``detkit train mask_rcnn_r50_fpn data=FOLDER``, and ``weights=maskrcnn_resnet50_fpn`` to start
from torchvision's detector. Objects without a mask teach boxes only.

Result: not yet run. torchvision publishes box AP 37.9 and mask AP 34.6 on val2017 for this model and schedule.
"""

from detkit.config_classes import MultistepConfig, TrainingConfig, presets
from detkit.zoo.two_stage.fpn_r50 import config as base

config = base.replace(
    name="mask_rcnn_r50_fpn",
    model=presets.maskrcnn_resnet50_fpn(),
    schedule=MultistepConfig(milestones=(16 / 26, 22 / 26), warmup_steps=1000),
    training=TrainingConfig(epochs=26),
)

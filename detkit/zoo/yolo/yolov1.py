"""YOLOv1 as in its paper (arXiv:1506.02640, section 2.2), for Pascal VOC 2007.

    detkit data fetch voc data/voc
    detkit train yolov1
    detkit evaluate runs/yolov1-1 --data data/voc/VOC2007 --split test --metric voc07

The paper trains on VOC 2007 and 2012 together, from convolutions that were trained on ImageNet for a week and are not published. A backbone
with published weights: ``model.backbone.name=resnet50 model.backbone.weights=default``.

Result: not yet run. The paper reports mAP 63.4 on VOC 2007 test.
"""

from detkit.config_classes import (
    AugmentationConfig,
    JitterConfig,
    LoaderConfig,
    MultistepConfig,
    PhotometricConfig,
    SGDConfig,
    TrainingConfig,
    presets,
)
from detkit.zoo.two_stage.fpn_r50_voc import config as base

config = base.replace(
    name="yolov1",
    model=presets.yolov1(),
    # Scale and translation change by up to 20 %, exposure and saturation by up to a factor of 1.5.
    augmentation=AugmentationConfig(
        resize=JitterConfig(size=None, scale=(0.8, 1.2)),
        photometric=PhotometricConfig(probability=1.0, brightness=0.5, contrast=0.0, saturation=0.5, hue=0.0),
    ),
    loader=LoaderConfig(batch_size=64, workers=4),
    optimizer=SGDConfig(lr=1e-2, reference_batch_size=64, weight_decay=5e-4),
    schedule=MultistepConfig(warmup_start=0.1, milestones=(75 / 135, 105 / 135)),
    training=TrainingConfig(epochs=135),
)

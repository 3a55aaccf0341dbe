"""SSDLite on EfficientNet-Lite0, for the blood cells of BCCD, in one core-hour.

    detkit data fetch bccd data/bccd
    detkit train ssd_lite0_bccd
    detkit evaluate runs/ssd_lite0_bccd-1 --data data/bccd --split test

Result: test AP 0.603, AP50 0.898, AP75 0.685 after 60.0 core-minutes (11,308 images seen); val AP 0.613.
"""

from detkit.config_classes import (
    AugmentationConfig,
    DefaultBoxConfig,
    ExtraLevelConfig,
    JitterConfig,
    PreprocessConfig,
    SSDConfig,
    SSDExtrasConfig,
    SSDHeadConfig,
)
from detkit.zoo.two_stage.faster_rcnn_lite0_bccd import config as base

config = base.replace(
    name="ssd_lite0_bccd",
    model=SSDConfig(
        preprocess=PreprocessConfig(rule="fixed", input_size=(480, 640)),
        backbone=base.model.backbone.replace(frozen_stages=2),
        neck=SSDExtrasConfig(
            extras=(ExtraLevelConfig(channels=256), ExtraLevelConfig(channels=128)), rescale=None, atrous_channels=None, lite=True
        ),
        head=SSDHeadConfig(
            # Default boxes are fractions of both sides: in 4:3 images, the upright box of ratio 4 / 3 is a square.
            default_boxes=DefaultBoxConfig(scales=(0.07, 0.14, 0.25, 0.45, 0.7, 0.95), ratios=((4 / 3, 2.5),) * 5, steps=None),
            lite=True,
        ),
    ),
    # The scales of the base config, with images of one size.
    augmentation=AugmentationConfig(preset="micrographs", quarter_turns=0.0, resize=JitterConfig(size=None, scale=(0.8, 1.2))),
    optimizer=base.optimizer.replace(lr=1e-3),
    training=base.training.replace(threads=1),
)

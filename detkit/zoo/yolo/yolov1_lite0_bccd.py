"""Grid and loss of YOLOv1 on EfficientNet-Lite0, for the blood cells of BCCD, in one core-hour.

    detkit data fetch bccd data/bccd
    detkit train yolov1_lite0_bccd
    detkit evaluate runs/yolov1_lite0_bccd-1 --data data/bccd --split test

Each of its 8 x 10 cells detects at most one object.

Result: test AP 0.047, AP50 0.153, AP75 0.012 after 59.9 core-minutes (13,596 images seen); val AP 0.048.
"""

from detkit.config_classes import (
    AugmentationConfig,
    JitterConfig,
    PreprocessConfig,
    YOLOv1Config,
    YOLOv1HeadConfig,
    YOLOv1NeckConfig,
)
from detkit.zoo.two_stage.faster_rcnn_lite0_bccd import config as base

config = base.replace(
    name="yolov1_lite0_bccd",
    model=YOLOv1Config(
        preprocess=PreprocessConfig(rule="fixed", input_size=(480, 640)),
        backbone=base.model.backbone.replace(frozen_stages=2, levels=("c5",)),
        # Few channels and no hidden layer: every output reads the whole map, over which the equal steps of Adam add up to noise.
        neck=YOLOv1NeckConfig(channels=(256, 32)),
        head=YOLOv1HeadConfig(hidden=(), dropout=0.2),
    ),
    # The scales of the base config, with images of one size.
    augmentation=AugmentationConfig(preset="micrographs", quarter_turns=0.0, resize=JitterConfig(size=None, scale=(0.8, 1.2))),
    optimizer=base.optimizer.replace(lr=1e-4, backbone_lr_factor=1.0),
    training=base.training.replace(threads=1),
)

"""Neck and head of YOLOX, as wide as in YOLOX-nano, on EfficientNet-Lite0, for the blood cells of BCCD, in one core-hour.

    detkit data fetch bccd data/bccd
    detkit train yolox_lite0_bccd
    detkit evaluate runs/yolox_lite0_bccd-1 --data data/bccd --split test

Result: test AP 0.619, AP50 0.925, AP75 0.724 after 59.9 core-minutes (6,916 images seen); val AP 0.605.
"""

from detkit.config_classes import PANConfig, presets
from detkit.zoo.yolo.light_lite0_bccd import config as base
from detkit.zoo.yolo.light_lite0_bccd import model as base_model

nano = presets.yolox_nano()

config = base.replace(
    name="yolox_lite0_bccd",
    model=nano.replace(
        preprocess=base_model.preprocess,
        backbone=base_model.backbone,
        neck=PANConfig(out_channels=96, depthwise=True),
        head=nano.head.replace(
            prior_side=base_model.head.prior_side,
            center_radius=base_model.head.center_radius,
            center_inside_box=base_model.head.center_inside_box,
        ),
    ),
)

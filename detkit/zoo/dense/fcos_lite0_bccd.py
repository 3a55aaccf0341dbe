"""FCOS on an EfficientNet-Lite0 FPN, for the blood cells of BCCD, in one core-hour.

    detkit data fetch bccd data/bccd
    detkit train fcos_lite0_bccd
    detkit evaluate runs/fcos_lite0_bccd-1 --data data/bccd --split test

Result: test AP 0.606, AP50 0.914, AP75 0.710 after 60.0 core-minutes (5,336 images seen); val AP 0.597.
"""

from detkit.config_classes import FCOSConfig, FCOSHeadConfig, PostprocessConfig
from detkit.zoo.two_stage.faster_rcnn_lite0_bccd import config as base
from detkit.zoo.two_stage.faster_rcnn_lite0_bccd import model as base_model

model = FCOSConfig(
    preprocess=base_model.preprocess,
    backbone=base_model.backbone.replace(frozen_stages=2),
    neck=base_model.neck,
    head=FCOSHeadConfig(depth=2, offset=0.5, postprocess=PostprocessConfig(min_score=0.05, nms_iou=0.6)),
)

config = base.replace(
    name="fcos_lite0_bccd",
    model=model,
    optimizer=base.optimizer.replace(lr=1e-3),
    training=base.training.replace(threads=1),
)

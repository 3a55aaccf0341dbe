"""Faster R-CNN on an EfficientNet-Lite0 FPN for the blood cells of BCCD, by alternating training, in one core-hour.

    detkit data fetch bccd data/bccd
    detkit train faster_rcnn_alternating_lite0_bccd
    detkit evaluate runs/faster_rcnn_alternating_lite0_bccd-1 --data data/bccd --split test

The four steps of ``faster_rcnn_alternating_vgg16`` get a quarter of the budget each. Both parts share the backbone and the FPN.

Result: test AP 0.596, AP50 0.919, AP75 0.670 after 60.0 core-minutes (28,648 images seen, in all four steps); val AP 0.595.
"""

from detkit.zoo.two_stage.faster_rcnn_alternating_vgg16 import config as alternating
from detkit.zoo.two_stage.faster_rcnn_lite0_bccd import config as base

config = base.replace(
    name="faster_rcnn_alternating_lite0_bccd",
    model=base.model.replace(backbone=base.model.backbone.replace(frozen_stages=2)),
    training=base.training.replace(evaluations=1, threads=1),
    stages=alternating.stages,
)

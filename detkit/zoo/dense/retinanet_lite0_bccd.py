"""RetinaNet on an EfficientNet-Lite0 FPN, for the blood cells of BCCD, in one core-hour.

    detkit data fetch bccd data/bccd
    detkit train retinanet_lite0_bccd
    detkit evaluate runs/retinanet_lite0_bccd-1 --data data/bccd --split test

Result: test AP 0.600, AP50 0.919, AP75 0.673 after 60.0 core-minutes (5,068 images seen); val AP 0.594.
"""

from detkit.config_classes import AnchorConfig, RetinaNetConfig, RetinaNetHeadConfig
from detkit.zoo.two_stage.faster_rcnn_lite0_bccd import config as base
from detkit.zoo.two_stage.faster_rcnn_lite0_bccd import model as base_model

config = base.replace(
    name="retinanet_lite0_bccd",
    model=RetinaNetConfig(
        preprocess=base_model.preprocess,
        backbone=base_model.backbone.replace(frozen_stages=2),
        neck=base_model.neck,
        head=RetinaNetHeadConfig(
            anchors=AnchorConfig(sizes=((32.0, 45.0), (64.0, 90.0), (128.0, 181.0), (256.0, 362.0))),
            depth=2,
            norm="group",
            box_loss="giou",
        ),
    ),
    optimizer=base.optimizer.replace(lr=1e-3),
    training=base.training.replace(threads=1),
)

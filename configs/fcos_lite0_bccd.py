"""FCOS on an EfficientNet-Lite0 feature pyramid, for the blood cells of BCCD, in an hour of one core.

    python datasets/fetch_bccd.py data/bccd
    python tools/train.py configs/fcos_lite0_bccd.py
    python tools/evaluate.py runs/fcos_lite0_bccd-1 --data data/bccd --split test

Result: test AP 0.606, AP50 0.914, AP75 0.710 after 60.0 core-minutes (5,336 images seen); val AP 0.597.
"""

from pathlib import Path

from detkit.config_classes import Experiment, FCOSConfig, FCOSHeadConfig, PostprocessConfig, load_config

base = load_config(Path(__file__).with_name("faster_rcnn_lite0_bccd.py"), Experiment)

config = base.replace(
    name="fcos_lite0_bccd",
    model=FCOSConfig(
        preprocess=base.model.preprocess,
        backbone=base.model.backbone.replace(frozen_stages=2),
        neck=base.model.neck,
        head=FCOSHeadConfig(depth=2, offset=0.5, postprocess=PostprocessConfig(min_score=0.05, nms_iou=0.6)),
    ),
    optimizer=base.optimizer.replace(lr=1e-3),
    training=base.training.replace(threads=1),
)

"""RetinaNet on an EfficientNet-Lite0 feature pyramid, for the blood cells of BCCD, in an hour of one core.

    python datasets/fetch_bccd.py data/bccd
    python tools/train.py configs/retinanet_lite0_bccd.py
    python tools/evaluate.py runs/retinanet_lite0_bccd-1 --data data/bccd --split test

Result: test AP 0.600, AP50 0.919, AP75 0.673 after 60.0 core-minutes (5,068 images seen); val AP 0.594.
"""

from pathlib import Path

from detkit.config_classes import AnchorConfig, Experiment, RetinaNetConfig, RetinaNetHeadConfig, load_config

base = load_config(Path(__file__).with_name("faster_rcnn_lite0_bccd.py"), Experiment)

config = base.replace(
    name="retinanet_lite0_bccd",
    model=RetinaNetConfig(
        preprocess=base.model.preprocess,
        backbone=base.model.backbone.replace(frozen_stages=2),
        neck=base.model.neck,
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

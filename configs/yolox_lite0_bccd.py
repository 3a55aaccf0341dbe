"""YOLOX's own neck and head, as wide as in its size nano, on EfficientNet-Lite0, for the blood cells of BCCD, in an hour of one core.

    python datasets/fetch_bccd.py data/bccd
    python tools/train.py configs/yolox_lite0_bccd.py
    python tools/evaluate.py runs/yolox_lite0_bccd-1 --data data/bccd --split test

Result: test AP 0.619, AP50 0.925, AP75 0.724 after 59.9 core-minutes (6,916 images seen); val AP 0.605.
"""

from pathlib import Path

from detkit.config_classes import Experiment, PANConfig, load_config, presets_yolox

base = load_config(Path(__file__).with_name("light_lite0_bccd.py"), Experiment)
nano = presets_yolox.yolox_nano()

config = base.replace(
    name="yolox_lite0_bccd",
    model=nano.replace(
        preprocess=base.model.preprocess,
        backbone=base.model.backbone,
        neck=PANConfig(out_channels=96, depthwise=True),
        head=nano.head.replace(
            prior_side=base.model.head.prior_side,
            center_radius=base.model.head.center_radius,
            center_inside_box=base.model.head.center_inside_box,
        ),
    ),
)

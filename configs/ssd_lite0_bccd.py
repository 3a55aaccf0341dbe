"""SSDLite on EfficientNet-Lite0, for the blood cells of BCCD, in an hour of one core.

    python datasets/fetch_bccd.py data/bccd
    python tools/train.py configs/ssd_lite0_bccd.py
    python tools/evaluate.py runs/ssd_lite0_bccd-1 --data data/bccd --split test

Result: test AP 0.603, AP50 0.898, AP75 0.685 after 60.0 core-minutes (11,308 images seen); val AP 0.613.
"""

from pathlib import Path

from detkit.config_classes import (
    AugmentationConfig,
    DefaultBoxConfig,
    Experiment,
    ExtraLevelConfig,
    JitterConfig,
    PreprocessConfig,
    SSDConfig,
    SSDExtrasConfig,
    SSDHeadConfig,
    load_config,
)

base = load_config(Path(__file__).with_name("faster_rcnn_lite0_bccd.py"), Experiment)

config = base.replace(
    name="ssd_lite0_bccd",
    model=SSDConfig(
        preprocess=PreprocessConfig(rule="fixed", input_size=(480, 640)),
        backbone=base.model.backbone.replace(frozen_stages=2),
        neck=SSDExtrasConfig(
            extras=(ExtraLevelConfig(channels=256), ExtraLevelConfig(channels=128)), rescale=None, atrous_channels=None, lite=True
        ),
        head=SSDHeadConfig(
            # Default boxes are shares of both sides: in images of 4 : 3, the one of 4 / 3 that stands is a square.
            default_boxes=DefaultBoxConfig(scales=(0.07, 0.14, 0.25, 0.45, 0.7, 0.95), ratios=((4 / 3, 2.5),) * 5, steps=None),
            lite=True,
        ),
    ),
    # The scales that the base draws, in images of one size.
    augmentation=AugmentationConfig(preset="micrographs", quarter_turns=0.0, resize=JitterConfig(size=None, scale=(0.8, 1.2))),
    optimizer=base.optimizer.replace(lr=1e-3),
    training=base.training.replace(threads=1),
)

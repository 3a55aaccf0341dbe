"""Detector for your own data, fine-tuned from the one that ships with detkit: nothing to download, and a CPU is enough.

    detkit train embedded data=my_data
    detkit train embedded data=my_data training.epochs=40

Without ``data`` it is trained on the classes of ``data/sample``, which ``detkit data example data/sample`` makes.

Result: AP 0.869, AP50 0.973 on the 40 validation images of that sample after 2.6 core-minutes (1,440 images seen).
"""

from detkit.config_classes import (
    AdamWConfig,
    AugmentationConfig,
    EMAConfig,
    JitterConfig,
    LoaderConfig,
    TrainingConfig,
    presets,
)
from detkit.weights import EMBEDDED
from detkit.zoo.house.quickstart import config as base

light = presets.light_lite0(128)  # the width of the detector that it starts from

config = base.replace(
    name="embedded",
    weights=EMBEDDED,
    # A few hundred steps are few, so each object gets more candidate points from the start.
    model=light.replace(
        backbone=light.backbone.replace(frozen_stages=2),
        head=light.head.replace(prior_side=4.0, center_radius=2.5, center_inside_box=True),
    ),
    augmentation=AugmentationConfig(preset="flip", resize=JitterConfig(size=None, scale=(0.7, 1.5))),
    loader=LoaderConfig(batch_size=8, workers=0, cache_megabytes=400),
    optimizer=AdamWConfig(lr=1e-3, reference_batch_size=8, backbone_lr_factor=0.3),
    training=TrainingConfig(epochs=12, clip_grad_norm=20.0, ema=EMAConfig(decay=0.99, warmup_steps=50), evaluations=4),
)

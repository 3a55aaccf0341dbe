"""First detector in about a minute on a CPU: Faster R-CNN on small images, generated from photographs of an installed package.

    detkit data example data/sample
    detkit train quickstart

Result: AP 0.667, AP50 0.896 on the 40 validation images after 2.0 core-minutes (544 images seen).
"""

from detkit.config_classes import (
    AnchorConfig,
    AugmentationConfig,
    BackboneConfig,
    DataConfig,
    EMAConfig,
    FPNConfig,
    LoaderConfig,
    PreprocessConfig,
    RegionConfig,
    RPNConfig,
    SourceConfig,
    TrainingConfig,
)
from detkit.zoo.two_stage.faster_rcnn_lite0_bccd import config as base

FETCH_COMMAND = "detkit data example data/sample"

config = base.replace(
    name="quickstart",
    model=base.model.replace(
        preprocess=PreprocessConfig(short_side=192, long_side=288),
        backbone=BackboneConfig(name="efficientnet_lite0", frozen_stages=2, levels=("c3", "c4", "c5")),
        neck=FPNConfig(out_channels=64),
        rpn=RPNConfig(
            anchors=AnchorConfig(sizes=((24.0,), (48.0,), (96.0,), (192.0,))),
            train_pre_nms_top_k=500,
            train_max_proposals=500,
            pre_nms_top_k=300,
            max_proposals=300,
        ),
        region=RegionConfig(samples_per_image=64),
    ),
    data=DataConfig(
        train=SourceConfig(path="data/sample", split="train", fetch_command=FETCH_COMMAND),
        val=SourceConfig(path="data/sample", split="val", fetch_command=FETCH_COMMAND),
    ),
    augmentation=AugmentationConfig(preset="flip"),
    loader=LoaderConfig(batch_size=4, workers=0, cache_megabytes=100),
    training=TrainingConfig(budget=2.0, clip_grad_norm=5.0, ema=EMAConfig(decay=0.99, warmup_steps=50), evaluations=1),
)

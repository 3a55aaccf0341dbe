"""Small D-FINE on EfficientNet-Lite0, for the blood cells of BCCD, in one core-hour.

    detkit data fetch bccd data/bccd
    detkit train dfine_lite0_bccd
    detkit evaluate runs/dfine_lite0_bccd-1 --data data/bccd --split test

The encoder is narrow and the decoder has three layers, as in D-FINE-N; images have less than half the area of the originals.

Result: test AP 0.627, AP50 0.884, AP75 0.732 after 59.9 core-minutes (7,004 images seen); val AP 0.621.
"""

from detkit.config_classes import (
    AdamWConfig,
    AugmentationConfig,
    CosineConfig,
    DFINEConfig,
    DFINEHeadConfig,
    HybridEncoderConfig,
    JitterConfig,
    PreprocessConfig,
)
from detkit.zoo.two_stage.faster_rcnn_lite0_bccd import config as base

model = DFINEConfig(
    preprocess=PreprocessConfig(rule="fixed", input_size=(320, 416)),
    # The first stages are the most expensive to train and gain the least.
    backbone=base.model.backbone.replace(frozen_stages=2),
    neck=HybridEncoderConfig(channels=128, block="rep_elan", downsample="separable", expansion=0.5, depth=0.34, hidden=512),
    head=DFINEHeadConfig(channels=128, layers=3, hidden=512, num_queries=100),
)

config = base.replace(
    name="dfine_lite0_bccd",
    model=model,
    augmentation=AugmentationConfig(preset="micrographs", quarter_turns=0.0, resize=JitterConfig(size=None, scale=(0.8, 1.2))),
    optimizer=AdamWConfig(lr=1e-3, reference_batch_size=4, backbone_lr_factor=0.3, weight_decay=1e-4),
    schedule=CosineConfig(warmup_steps=100),
    training=base.training.replace(clip_grad_norm=0.1, threads=1),
)

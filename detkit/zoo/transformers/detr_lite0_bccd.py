"""Small DETR on EfficientNet-Lite0, for the blood cells of BCCD, in one core-hour.

    detkit data fetch bccd data/bccd
    detkit train detr_lite0_bccd
    detkit evaluate runs/detr_lite0_bccd-1 --data data/bccd --split test

205 images and about ten thousand steps are far fewer than DETR needs (its authors advise 300,000 steps); it is included for comparison.
Images of half the size, a single level of stride 16, a frozen backbone and a narrow transformer let it see more images in the budget. In
float32, on CPUs without fast bfloat16, it sees fewer.

Result: test AP 0.258, AP50 0.523, AP75 0.216 after 60.0 core-minutes (94,432 images seen); val AP 0.282.
"""

from detkit.config_classes import AdamWConfig, BackboneConfig, CosineConfig, DenoisingConfig, PreprocessConfig, presets
from detkit.zoo.two_stage.faster_rcnn_lite0_bccd import config as base

small = presets.detr_small()

config = base.replace(
    name="detr_lite0_bccd",
    model=small.replace(
        preprocess=PreprocessConfig(short_side=240, long_side=400),
        backbone=BackboneConfig(name="efficientnet_lite0", frozen_stages=4, levels=("c4",)),
        # So few steps hardly overfit, and narrow layers see more images in the budget. The result was measured without denoising.
        head=small.head.replace(
            channels=128, attention_heads=4, encoder_layers=2, hidden=512, dropout=0.0, denoising=DenoisingConfig(queries=0)
        ),
    ),
    loader=base.loader.replace(batch_size=8),
    optimizer=AdamWConfig(lr=2e-4, reference_batch_size=8, weight_decay=1e-4),
    schedule=CosineConfig(warmup_steps=200),
    training=base.training.replace(clip_grad_norm=0.1, threads=1),
)

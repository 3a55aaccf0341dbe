"""Light detector for the blood cells of BCCD, in one core-hour.

    detkit data fetch bccd data/bccd
    detkit train light_lite0_bccd
    detkit evaluate runs/light_lite0_bccd-1 --data data/bccd --split test

Result: test AP 0.583, AP50 0.918, AP75 0.647 after 59.9 core-minutes (5,380 images seen); val AP 0.613.
"""

from detkit.config_classes import AdamWConfig, presets
from detkit.zoo.two_stage.faster_rcnn_lite0_bccd import config as base

light = presets.light_lite0()

# Images of one size need no letterbox. A few hundred steps are few, so each object gets more candidate points from the start.
model = light.replace(
    preprocess=base.model.preprocess,
    # The first stages are the most expensive to train and gain the least.
    backbone=light.backbone.replace(frozen_stages=2),
    head=light.head.replace(prior_side=4.0, center_radius=2.5, center_inside_box=True),
)

config = base.replace(
    name="light_lite0_bccd",
    model=model,
    optimizer=AdamWConfig(lr=2e-3, reference_batch_size=4, backbone_lr_factor=0.3),
    training=base.training.replace(clip_grad_norm=20.0, threads=1),
)

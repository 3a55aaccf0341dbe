"""Fast R-CNN on EfficientNet-Lite0 for the blood cells of BCCD, with selective search proposals.

    detkit data fetch bccd data/bccd
    detkit train fast_rcnn_lite0_bccd
    detkit evaluate runs/fast_rcnn_lite0_bccd-1 --data data/bccd --split test

The budget of 90 core-minutes includes the time for proposals, which are cached in data/proposals.

Result: test AP 0.563, AP50 0.880, AP75 0.596 after 90.0 core-minutes (13,120 images seen); val AP 0.569.
"""

from detkit.config_classes import FastRCNNConfig, FPNConfig, ProposalsConfig, RegionConfig
from detkit.zoo.two_stage.faster_rcnn_lite0_bccd import config as base

model = FastRCNNConfig(
    preprocess=base.model.preprocess,
    backbone=base.model.backbone.replace(frozen_stages=2),
    neck=FPNConfig(out_channels=128, extra_levels=None),
    region=RegionConfig(samples_per_image=256, min_negative_iou=0.0),
    proposals=ProposalsConfig(mode="fast", max_proposals=2000, cache="data/proposals"),
)

config = base.replace(
    name="fast_rcnn_lite0_bccd",
    model=model,
    training=base.training.replace(budget=90.0, evaluations=4, threads=1),
)

"""Fast R-CNN on EfficientNet-Lite0 for the blood cells of BCCD, on proposals of selective search.

    python datasets/fetch_bccd.py data/bccd
    python tools/train.py configs/fast_rcnn_lite0_bccd.py
    python tools/evaluate.py runs/fast_rcnn_lite0_bccd-1 --data data/bccd --split test

The budget of 90 core-minutes holds the making of proposals, which are remembered in data/proposals.

Result: test AP 0.563, AP50 0.880, AP75 0.596 after 90.0 core-minutes (13,120 images seen); val AP 0.569.
"""

from pathlib import Path

from detkit.config_classes import Experiment, FastRCNNConfig, FPNConfig, ProposalsConfig, RegionConfig, load_config

base = load_config(Path(__file__).with_name("faster_rcnn_lite0_bccd.py"), Experiment)

config = base.replace(
    name="fast_rcnn_lite0_bccd",
    model=FastRCNNConfig(
        preprocess=base.model.preprocess,
        backbone=base.model.backbone.replace(frozen_stages=2),
        neck=FPNConfig(out_channels=128, extra_levels=None),
        region=RegionConfig(samples_per_image=256, min_negative_iou=0.0),
        proposals=ProposalsConfig(mode="fast", max_proposals=2000, cache="data/proposals"),
    ),
    training=base.training.replace(budget=90.0, evaluations=4, threads=1),
)

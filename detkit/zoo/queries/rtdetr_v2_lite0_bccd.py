"""Small RT-DETRv2 on EfficientNet-Lite0, for the blood cells of BCCD, in one core-hour.

    detkit data fetch bccd data/bccd
    detkit train rtdetr_v2_lite0_bccd
    detkit evaluate runs/rtdetr_v2_lite0_bccd-1 --data data/bccd --split test

The settings are those of ``dfine_lite0_bccd``, with RT-DETRv2's encoder and decoder.

Result: test AP 0.619, AP50 0.886, AP75 0.698 after 60.0 core-minutes (9,300 images seen); val AP 0.622.
"""

from detkit.config_classes import HybridEncoderConfig, RTDETRConfig, RTDETRHeadConfig
from detkit.zoo.queries.dfine_lite0_bccd import config as base

config = base.replace(
    name="rtdetr_v2_lite0_bccd",
    model=RTDETRConfig(
        preprocess=base.model.preprocess,
        backbone=base.model.backbone,
        neck=HybridEncoderConfig(channels=128, expansion=0.5, depth=0.34, hidden=512),
        head=RTDETRHeadConfig(channels=128, layers=3, hidden=512, num_queries=100),
    ),
)

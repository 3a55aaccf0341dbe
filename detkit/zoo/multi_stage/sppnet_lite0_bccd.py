"""SPPNet on EfficientNet-Lite0 for the blood cells of BCCD, with selective search proposals.

    detkit data fetch bccd data/bccd
    detkit train sppnet_lite0_bccd
    detkit evaluate runs/sppnet_lite0_bccd-1 --data data/bccd --split test

The convolutions keep their ImageNet weights. The budget of 90 core-minutes includes proposals, fine-tuning, features, SVMs, box regressors
and evaluations; ``results.json`` lists the time of each. To rerun one stage:
``detkit train --resume runs/sppnet_lite0_bccd-1 --stage svm``.

Result: test AP 0.392, AP50 0.760, AP75 0.377 after 77.0 core-minutes (27,264 images seen); val AP 0.388.
"""

from detkit.config_classes import (
    BoxRegressionStageConfig,
    FittedConfig,
    GradientStageConfig,
    SPPNetConfig,
    SVMStageConfig,
    TwoFCConfig,
)
from detkit.zoo.two_stage.fast_rcnn_lite0_bccd import config as base
from detkit.zoo.two_stage.fast_rcnn_lite0_bccd import model as base_model

paper = SPPNetConfig()

config = base.replace(
    name="sppnet_lite0_bccd",
    model=paper.replace(
        preprocess=base_model.preprocess,
        backbone=base_model.backbone.replace(levels=("c4",), frozen_stages=4),
        # 112 channels x 50 bins; boxes are regressed from the 1,024 features of the head.
        region=paper.region.replace(
            head=TwoFCConfig(hidden=1024, dropout=0.5), samples_per_image=64, fitted=FittedConfig(boxes_from="hidden")
        ),
        proposals=base_model.proposals,
    ),
    stages=(GradientStageConfig(name="finetuning"), SVMStageConfig(budget_share=0.15), BoxRegressionStageConfig(budget_share=0.05)),
)

"""R-CNN on EfficientNet-Lite0 for the blood cells of BCCD, with 500 proposals warped to 128 pixels.

    detkit data fetch bccd data/bccd
    detkit train rcnn_lite0_bccd
    detkit evaluate runs/rcnn_lite0_bccd-1 --data data/bccd --split test

The paper warps 2,000 proposals to 227 pixels and trains all layers; here the first two stages are frozen. The budget of 90 core-minutes
includes proposals, fine-tuning, features, SVMs, box regressors, and an evaluation after each on a third of the validation images;
``results.json`` lists the time of each. To rerun one stage: ``detkit train --resume runs/rcnn_lite0_bccd-1 --stage svm``.

Result: test AP 0.401, AP50 0.715, AP75 0.409 after 61.7 core-minutes (4,056 images seen); val AP 0.418. Features and SVMs used less than
their shares of the budget.
"""

from detkit.config_classes import (
    BackboneConfig,
    BoxRegressionStageConfig,
    ConvPoolConfig,
    EvaluationConfig,
    FittedConfig,
    GradientStageConfig,
    RCNNConfig,
    SVMStageConfig,
)
from detkit.zoo.two_stage.fast_rcnn_lite0_bccd import config as base
from detkit.zoo.two_stage.fast_rcnn_lite0_bccd import model as base_model

paper = RCNNConfig()

config = base.replace(
    name="rcnn_lite0_bccd",
    model=paper.replace(
        backbone=BackboneConfig(name="efficientnet_lite0", levels=("c5",), frozen_stages=2),
        # The last convolution of the classifier, with its ImageNet weights; boxes are regressed from the 320 x 4 x 4 features before it.
        region=paper.region.replace(head=ConvPoolConfig(), pool_size=4, fitted=FittedConfig(boxes_from="pooled")),
        proposals=base_model.proposals.replace(max_proposals=500),
        warp_size=128,
        context_pixels=9,
    ),
    # Each region is processed separately, so the size of its image does not matter.
    training=base.training.replace(evaluations=2),
    evaluation=EvaluationConfig(max_images=29, precision="auto"),
    # The SVM stage spends nearly all of its time on computing features.
    stages=(GradientStageConfig(name="finetuning"), SVMStageConfig(budget_share=0.4), BoxRegressionStageConfig(budget_share=0.08)),
)

"""R-CNN on EfficientNet-Lite0 for the blood cells of BCCD, with 500 proposals warped to 128 pixels.

    python datasets/fetch_bccd.py data/bccd
    python tools/train.py configs/rcnn_lite0_bccd.py
    python tools/evaluate.py runs/rcnn_lite0_bccd-1 --data data/bccd --split test

The paper warps 2,000 proposals to 227 pixels, and all layers learn; here the first two stages stay. The budget of 90 core-minutes holds
proposals, fine-tuning, features, SVMs, box regressors, and an evaluation after each on a third of the validation images; ``results.json``
tells what each took. One stage again: ``detkit train --resume runs/rcnn_lite0_bccd-1 --stage svm``.

Result: test AP 0.401, AP50 0.715, AP75 0.409 after 61.7 core-minutes (4,056 images seen); val AP 0.418. Features and
SVMs took less than their shares.
"""

from pathlib import Path

from detkit.config_classes import (
    BackboneConfig,
    BoxRegressionStageConfig,
    ConvPoolConfig,
    EvaluationConfig,
    Experiment,
    FittedConfig,
    GradientStageConfig,
    RCNNConfig,
    SVMStageConfig,
    load_config,
)

base = load_config(Path(__file__).with_name("fast_rcnn_lite0_bccd.py"), Experiment)
paper = RCNNConfig()

config = base.replace(
    name="rcnn_lite0_bccd",
    model=paper.replace(
        backbone=BackboneConfig(name="efficientnet_lite0", levels=("c5",), frozen_stages=2),
        # The classifier's last convolution, with its ImageNet weights; boxes are regressed from the 320 x 4 x 4 numbers before it.
        region=paper.region.replace(head=ConvPoolConfig(), pool_size=4, fitted=FittedConfig(boxes_from="pooled")),
        proposals=base.model.proposals.replace(max_proposals=500),
        warp_size=128,
        context_pixels=9,
    ),
    # Regions are looked at one by one, so that their images' size is no matter.
    training=base.training.replace(evaluations=2),
    evaluation=EvaluationConfig(max_images=29, precision="auto"),
    # Nearly all that the SVMs' stage takes is the making of features.
    stages=(GradientStageConfig(name="finetuning"), SVMStageConfig(budget_share=0.4), BoxRegressionStageConfig(budget_share=0.08)),
)

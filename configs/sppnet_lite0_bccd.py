"""SPPNet on EfficientNet-Lite0 for the blood cells of BCCD, on proposals of selective search.

    python datasets/fetch_bccd.py data/bccd
    python tools/train.py configs/sppnet_lite0_bccd.py
    python tools/evaluate.py runs/sppnet_lite0_bccd-1 --data data/bccd --split test

The convolutions keep their ImageNet weights. The budget of 90 core-minutes holds proposals, fine-tuning, features, SVMs, box
regressors and evaluations; ``results.json`` tells what each took. One stage again:
``detkit train --resume runs/sppnet_lite0_bccd-1 --stage svm``.

Result: test AP 0.392, AP50 0.760, AP75 0.377 after 77.0 core-minutes (27,264 images seen); val AP 0.388.
"""

from pathlib import Path

from detkit.config_classes import (
    BoxRegressionStageConfig,
    Experiment,
    FittedConfig,
    GradientStageConfig,
    SPPNetConfig,
    SVMStageConfig,
    TwoFCConfig,
    load_config,
)

base = load_config(Path(__file__).with_name("fast_rcnn_lite0_bccd.py"), Experiment)
paper = SPPNetConfig()

config = base.replace(
    name="sppnet_lite0_bccd",
    model=paper.replace(
        preprocess=base.model.preprocess,
        backbone=base.model.backbone.replace(levels=("c4",), frozen_stages=4),
        # 112 channels of 50 bins; box regressors look at the 1,024 numbers behind the head.
        region=paper.region.replace(
            head=TwoFCConfig(hidden=1024, dropout=0.5), samples_per_image=64, fitted=FittedConfig(boxes_from="hidden")
        ),
        proposals=base.model.proposals,
    ),
    stages=(GradientStageConfig(name="finetuning"), SVMStageConfig(budget_share=0.15), BoxRegressionStageConfig(budget_share=0.05)),
)

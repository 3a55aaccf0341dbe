"""R-CNN on VGG16 for Pascal VOC 2007, with the numbers of the paper (arXiv:1311.2524v5) and of its released code.

    python datasets/fetch_voc.py data/voc
    detkit weights download vgg16
    python tools/train.py configs/rcnn_vgg16.py
    python tools/evaluate.py --data data/voc/VOC2007 --split test --metric voc07

Three stages: fine-tuning, one SVM a class, box regressors; one again: ``detkit train --resume runs/rcnn_vgg16-1 --stage svm``.
Boxes are regressed from the 4,096 numbers of fc7 instead of the 25,088 of pool5, whose square does not fit in memory.

Result: not yet run. The paper has an AP of 62.2 on the test part of VOC 2007, 66.0 with box regression (table 3; trained on its trainval
part).
"""

from pathlib import Path

from detkit.config_classes import (
    BackboneConfig,
    BoxRegressionStageConfig,
    Experiment,
    FittedConfig,
    GradientStageConfig,
    LoaderConfig,
    MultistepConfig,
    RCNNConfig,
    SGDConfig,
    SVMStageConfig,
    TrainingConfig,
    load_config,
)

base = load_config(Path(__file__).with_name("fast_rcnn_vgg16.py"), Experiment)
paper = RCNNConfig()

config = base.replace(
    name="rcnn_vgg16",
    model=paper.replace(
        # All layers learn (section 2.3).
        backbone=BackboneConfig(name="vgg16", levels=("c5",), frozen_stages=0),
        region=paper.region.replace(pool_size=7, fitted=FittedConfig(boxes_from="hidden")),
        warp_size=224,
        proposals=base.model.proposals,
    ),
    # 32 positive and 96 background regions of four images; 0.001, a tenth of the rate of ImageNet (section 2.3).
    loader=LoaderConfig(batch_size=4, workers=4),
    optimizer=SGDConfig(lr=0.001, reference_batch_size=4, weight_decay=5e-4),
    # The released code's solver: 40,000 steps, a tenth of the rate every 20,000.
    schedule=MultistepConfig(milestones=(0.5,), warmup_steps=0),
    training=TrainingConfig(steps=40_000, evaluations=1),
    stages=(GradientStageConfig(name="finetuning"), SVMStageConfig(), BoxRegressionStageConfig()),
)

"""R-CNN on VGG16 for Pascal VOC 2007, with the numbers of the paper (arXiv:1311.2524v5) and of its released code.

    detkit data fetch voc data/voc
    detkit models download vgg16
    detkit train rcnn_vgg16
    detkit evaluate runs/rcnn_vgg16-1 --data data/voc/VOC2007 --split test --metric voc07

Three stages: fine-tuning, one SVM per class, box regressors. To rerun one stage: ``detkit train --resume runs/rcnn_vgg16-1 --stage svm``.
Boxes are regressed from the 4,096 features of fc7 instead of the 25,088 of pool5, whose square matrix does not fit in memory.

Result: not yet run. The paper reports AP 62.2 on the test part of VOC 2007, and 66.0 with box regression (table 3; trained on its trainval
part).
"""

from detkit.config_classes import (
    BackboneConfig,
    BoxRegressionStageConfig,
    FittedConfig,
    GradientStageConfig,
    LoaderConfig,
    MultistepConfig,
    RCNNConfig,
    SGDConfig,
    SVMStageConfig,
    TrainingConfig,
)
from detkit.zoo.two_stage.fast_rcnn_vgg16 import config as base
from detkit.zoo.two_stage.fast_rcnn_vgg16 import model as base_model

paper = RCNNConfig()

model = paper.replace(
    # All layers are trained (section 2.3).
    backbone=BackboneConfig(name="vgg16", levels=("c5",), frozen_stages=0),
    region=paper.region.replace(pool_size=7, fitted=FittedConfig(boxes_from="hidden")),
    warp_size=224,
    proposals=base_model.proposals,
)

config = base.replace(
    name="rcnn_vgg16",
    model=model,
    # 32 positive and 96 background regions from four images; a learning rate of 0.001, a tenth of that for ImageNet (section 2.3).
    loader=LoaderConfig(batch_size=4, workers=4),
    optimizer=SGDConfig(lr=0.001, reference_batch_size=4, weight_decay=5e-4),
    # The solver of the released code: 40,000 steps, the learning rate divided by 10 every 20,000.
    schedule=MultistepConfig(milestones=(0.5,), warmup_steps=0),
    training=TrainingConfig(steps=40_000, evaluations=1),
    stages=(GradientStageConfig(name="finetuning"), SVMStageConfig(), BoxRegressionStageConfig()),
)

"""SPPNet on ZFNet for Pascal VOC 2007, at one scale, with the numbers of the paper (arXiv:1406.4729).

    detkit data fetch voc data/voc
    detkit train sppnet_zf model.backbone.weights=zfnet.pth
    detkit evaluate runs/sppnet_zf-1 --data data/voc/VOC2007 --split test --metric voc07

ImageNet weights of ZFNet are not published for PyTorch: pass a file of your own, or use AlexNet with ``model.backbone.name=alexnet
model.backbone.weights=default``. Five scales: ``model.preprocess.short_side=1200 model.preprocess.long_side=2000
model.scales=0.4,0.48,0.5733,0.72,1.0``.

Result: not yet run. The paper reports AP 58.0 on the test part of VOC 2007 at one scale, and 59.2 at five (table 9; trained on its trainval
part).
"""

from detkit.config_classes import (
    BackboneConfig,
    BoxRegressionStageConfig,
    FittedConfig,
    GradientStageConfig,
    LoaderConfig,
    MultistepConfig,
    SGDConfig,
    SPPNetConfig,
    SVMStageConfig,
    TrainingConfig,
)
from detkit.zoo.two_stage.fast_rcnn_vgg16 import config as base
from detkit.zoo.two_stage.fast_rcnn_vgg16 import model as base_model

paper = SPPNetConfig()

config = base.replace(
    name="sppnet_zf",
    # Every stage up to conv5 is frozen: only the fully connected layers are trained (section 4.2).
    model=paper.replace(
        backbone=BackboneConfig(name="zfnet", levels=("c4",), frozen_stages=3),
        proposals=base_model.proposals,
        # Boxes are regressed from the 12,800 pooled features (section 4.1).
        region=paper.region.replace(fitted=FittedConfig(boxes_from="pooled")),
    ),
    loader=LoaderConfig(batch_size=4, workers=4),
    # 250,000 mini-batches at 1e-4, then 50,000 at 1e-5 (section 4.2).
    optimizer=SGDConfig(lr=1e-4, reference_batch_size=4, weight_decay=5e-4),
    schedule=MultistepConfig(milestones=(5 / 6,), warmup_steps=0),
    training=TrainingConfig(steps=300_000, evaluations=4),
    stages=(GradientStageConfig(name="finetuning"), SVMStageConfig(), BoxRegressionStageConfig()),
)

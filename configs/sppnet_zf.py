"""SPPNet on ZFNet for Pascal VOC 2007, at one scale, with the numbers of the paper (arXiv:1406.4729).

    python datasets/fetch_voc.py data/voc
    python tools/train.py configs/sppnet_zf.py model.backbone.weights=zfnet.pth
    python tools/evaluate.py --data data/voc/VOC2007 --split test --metric voc07

Nobody publishes ZFNet's ImageNet weights for PyTorch: give a file of yours, or take AlexNet's with ``model.backbone.name=alexnet
model.backbone.weights=default``. Five scales: ``model.preprocess.short_side=1200 model.preprocess.long_side=2000
model.scales=0.4,0.48,0.5733,0.72,1.0``.

Result: not yet run. The paper has an AP of 58.0 on the test part of VOC 2007 at one scale, of 59.2 at five (table 9; trained on its
trainval part).
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
    SGDConfig,
    SPPNetConfig,
    SVMStageConfig,
    TrainingConfig,
    load_config,
)

paper = SPPNetConfig()
base = load_config(Path(__file__).with_name("fast_rcnn_vgg16.py"), Experiment)

config = base.replace(
    name="sppnet_zf",
    # Every stage up to conv5 is frozen: only the fully connected layers learn (section 4.2).
    model=paper.replace(
        backbone=BackboneConfig(name="zfnet", levels=("c4",), frozen_stages=3),
        proposals=base.model.proposals,
        # Boxes are regressed from the pooled features (section 4.1), 12,800 numbers.
        region=paper.region.replace(fitted=FittedConfig(boxes_from="pooled")),
    ),
    loader=LoaderConfig(batch_size=4, workers=4),
    # 250,000 mini-batches at 1e-4, then 50,000 at 1e-5 (section 4.2).
    optimizer=SGDConfig(lr=1e-4, reference_batch_size=4, weight_decay=5e-4),
    schedule=MultistepConfig(milestones=(5 / 6,), warmup_steps=0),
    training=TrainingConfig(steps=300_000, evaluations=4),
    stages=(GradientStageConfig(name="finetuning"), SVMStageConfig(), BoxRegressionStageConfig()),
)

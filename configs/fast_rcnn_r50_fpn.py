"""Fast R-CNN on a ResNet-50 FPN for Pascal VOC 2007: the second stage of Faster R-CNN on proposals of selective search.

    python datasets/fetch_voc.py data/voc
    detkit weights download resnet50
    python tools/train.py configs/fast_rcnn_r50_fpn.py
    python tools/evaluate.py --data data/voc/VOC2007 --split test --metric voc07

Result: not yet run.
"""

from pathlib import Path

from detkit.config_classes import (
    BackboneConfig,
    Experiment,
    FPNConfig,
    LoaderConfig,
    RegionConfig,
    SGDConfig,
    TrainingConfig,
    load_config,
)

base = load_config(Path(__file__).with_name("fast_rcnn_vgg16.py"), Experiment)

config = base.replace(
    name="fast_rcnn_r50_fpn",
    # The head and the sampling of the FPN paper (arXiv:1612.03144, section 5.2).
    model=base.model.replace(backbone=BackboneConfig(), neck=FPNConfig(extra_levels=None), region=RegionConfig()),
    loader=LoaderConfig(batch_size=16, workers=4),
    optimizer=SGDConfig(lr=0.02, reference_batch_size=16),
    training=TrainingConfig(epochs=12),
)

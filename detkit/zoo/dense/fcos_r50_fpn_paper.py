"""FCOS on a ResNet-50 FPN with the numbers of the first paper (arXiv:1904.01355), for COCO: 90,000 iterations of 16 images.

    detkit data fetch coco data/coco
    detkit models download resnet50
    detkit train fcos_r50_fpn_paper

``FCOSConfig`` lists the differences in the second paper, which torchvision follows.

Result: not yet run. The authors publish AP 37.1 on minival (github.com/tianzhi0549/FCOS), with a ResNet-50 of Caffe.
"""

from detkit.config_classes import TrainingConfig, presets
from detkit.zoo.dense.fcos_r50_fpn import config as base

config = base.replace(
    name="fcos_r50_fpn_paper",
    model=presets.fcos_resnet50_fpn_paper(),
    training=TrainingConfig(steps=90_000),
)

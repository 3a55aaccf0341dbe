"""R-CNN on AlexNet for Pascal VOC 2007, with the numbers of the paper (arXiv:1311.2524) and of its released code.

    detkit data fetch voc data/voc
    detkit models download alexnet
    detkit train rcnn_alexnet
    detkit evaluate runs/rcnn_alexnet-1 --data data/voc/VOC2007 --split test --metric voc07

The AlexNet is torchvision's, which has fewer channels than the paper's and no groups.

Result: not yet run. The paper reports AP 54.2 on the test part of VOC 2007, and 58.5 with box regression (table 2; trained on its trainval
part).
"""

from detkit.config_classes import BackboneConfig, FittedConfig
from detkit.zoo.multi_stage.rcnn_vgg16 import config as base
from detkit.zoo.multi_stage.rcnn_vgg16 import model as base_model

config = base.replace(
    name="rcnn_alexnet",
    model=base_model.replace(
        backbone=BackboneConfig(name="alexnet", levels=("c5",), frozen_stages=0),
        # The input of fc6 has 6 x 6 cells; boxes are regressed from its 9,216 features.
        region=base_model.region.replace(pool_size=6, fitted=FittedConfig(boxes_from="pooled")),
        warp_size=227,
    ),
)

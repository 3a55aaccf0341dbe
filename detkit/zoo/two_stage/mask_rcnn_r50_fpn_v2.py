"""Second-generation Mask R-CNN of torchvision (batch norm everywhere, deeper heads), for COCO, with large-scale jitter.

    detkit data fetch coco data/coco
    detkit models download resnet50_v2
    detkit train mask_rcnn_r50_fpn_v2

Result: not yet run. torchvision publishes box AP 47.4 and mask AP 41.8 on val2017 for this model after a much longer training.
"""

from detkit.config_classes import presets
from detkit.zoo.two_stage.fpn_r50_v2 import config as base

config = base.replace(name="mask_rcnn_r50_fpn_v2", model=presets.maskrcnn_resnet50_fpn_v2())

"""Mask R-CNN on an EfficientNet-Lite0 FPN, for a small sample of COCO, on a CPU.

    detkit train mask_rcnn_lite0_coco_sample data=FOLDER

FOLDER holds ``instances.json``, whose objects have polygons or run lengths, and ``images/``. A tenth of the images, chosen by a hash of
their ids, is held out for validation. The mask head has half the usual width.

Result: not yet run.
"""

from detkit.config_classes import MaskHeadConfig, MaskRCNNConfig
from detkit.zoo.two_stage.faster_rcnn_lite0_coco_sample import config as base

parts = {name: getattr(base.model, name) for name in ("preprocess", "backbone", "neck", "rpn", "region")}

config = base.replace(name="mask_rcnn_lite0_coco_sample", model=MaskRCNNConfig(mask=MaskHeadConfig(width=128)).replace(**parts))

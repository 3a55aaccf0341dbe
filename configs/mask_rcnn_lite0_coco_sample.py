"""The config ``mask_rcnn_lite0_coco_sample`` of the model zoo: see ``detkit/zoo/two_stage``."""

from detkit.zoo.two_stage.mask_rcnn_lite0_coco_sample import config

__all__ = ["config"]

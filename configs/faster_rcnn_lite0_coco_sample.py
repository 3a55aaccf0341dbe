"""The config ``faster_rcnn_lite0_coco_sample`` of the model zoo: see ``detkit/zoo/two_stage``."""

from detkit.zoo.two_stage.faster_rcnn_lite0_coco_sample import config

__all__ = ["config"]

"""The config ``faster_rcnn_lite0_coco_sample`` of the model zoo: see ``detkit/zoo/faster_rcnn_lite0_coco_sample.py``."""

from detkit.zoo.faster_rcnn_lite0_coco_sample import config

__all__ = ["config"]

"""The config ``faster_rcnn_alternating_vgg16`` of the model zoo: see ``detkit/zoo/faster_rcnn_alternating_vgg16.py``."""

from detkit.zoo.faster_rcnn_alternating_vgg16 import config

__all__ = ["config"]

"""The config ``rcnn_vgg16`` of the model zoo: see ``detkit/zoo/rcnn_vgg16.py``."""

from detkit.zoo.rcnn_vgg16 import config

__all__ = ["config"]

"""The config ``fast_rcnn_vgg16`` of the model zoo: see ``detkit/zoo/fast_rcnn_vgg16.py``."""

from detkit.zoo.fast_rcnn_vgg16 import config

__all__ = ["config"]

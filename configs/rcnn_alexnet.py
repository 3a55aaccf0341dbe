"""The config ``rcnn_alexnet`` of the model zoo: see ``detkit/zoo/rcnn_alexnet.py``."""

from detkit.zoo.rcnn_alexnet import config

__all__ = ["config"]

"""The config ``faster_rcnn_lite0_bccd`` of the model zoo: see ``detkit/zoo/faster_rcnn_lite0_bccd.py``."""

from detkit.zoo.faster_rcnn_lite0_bccd import config

__all__ = ["config"]

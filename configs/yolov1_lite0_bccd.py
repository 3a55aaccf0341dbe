"""The config ``yolov1_lite0_bccd`` of the model zoo: see ``detkit/zoo/yolov1_lite0_bccd.py``."""

from detkit.zoo.yolov1_lite0_bccd import config

__all__ = ["config"]

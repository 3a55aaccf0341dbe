"""The config ``yolov1`` of the model zoo: see ``detkit/zoo/yolov1.py``."""

from detkit.zoo.yolov1 import config

__all__ = ["config"]

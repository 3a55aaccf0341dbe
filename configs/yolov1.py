"""The config ``yolov1`` of the model zoo: see ``detkit/zoo/yolo``."""

from detkit.zoo.yolo.yolov1 import config

__all__ = ["config"]

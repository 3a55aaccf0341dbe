"""The config ``yolov1_tiny`` of the model zoo: see ``detkit/zoo/yolo``."""

from detkit.zoo.yolo.yolov1_tiny import config

__all__ = ["config"]

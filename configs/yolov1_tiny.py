"""The config ``yolov1_tiny`` of the model zoo: see ``detkit/zoo/yolov1_tiny.py``."""

from detkit.zoo.yolov1_tiny import config

__all__ = ["config"]

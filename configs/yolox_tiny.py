"""The config ``yolox_tiny`` of the model zoo: see ``detkit/zoo/yolo``."""

from detkit.zoo.yolo.yolox_tiny import config

__all__ = ["config"]

"""The config ``yolox_m`` of the model zoo: see ``detkit/zoo/yolo``."""

from detkit.zoo.yolo.yolox_m import config

__all__ = ["config"]

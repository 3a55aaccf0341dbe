"""The config ``yolox_x`` of the model zoo: see ``detkit/zoo/yolo``."""

from detkit.zoo.yolo.yolox_x import config

__all__ = ["config"]

"""The config ``yolox_s`` of the model zoo: see ``detkit/zoo/yolo``."""

from detkit.zoo.yolo.yolox_s import config

__all__ = ["config"]

"""The config ``yolox_nano`` of the model zoo: see ``detkit/zoo/yolo``."""

from detkit.zoo.yolo.yolox_nano import config

__all__ = ["config"]

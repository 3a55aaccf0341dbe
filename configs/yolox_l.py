"""The config ``yolox_l`` of the model zoo: see ``detkit/zoo/yolo``."""

from detkit.zoo.yolo.yolox_l import config

__all__ = ["config"]

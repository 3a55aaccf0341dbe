"""The config ``light_lite0`` of the model zoo: see ``detkit/zoo/yolo``."""

from detkit.zoo.yolo.light_lite0 import config

__all__ = ["config"]

"""The config ``light_lite0_bccd_taught`` of the model zoo: see ``detkit/zoo/yolo``."""

from detkit.zoo.yolo.light_lite0_bccd_taught import config

__all__ = ["config"]

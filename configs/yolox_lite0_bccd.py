"""The config ``yolox_lite0_bccd`` of the model zoo: see ``detkit/zoo/yolox_lite0_bccd.py``."""

from detkit.zoo.yolox_lite0_bccd import config

__all__ = ["config"]

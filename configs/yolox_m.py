"""The config ``yolox_m`` of the model zoo: see ``detkit/zoo/yolox_m.py``."""

from detkit.zoo.yolox_m import config

__all__ = ["config"]

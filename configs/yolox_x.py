"""The config ``yolox_x`` of the model zoo: see ``detkit/zoo/yolox_x.py``."""

from detkit.zoo.yolox_x import config

__all__ = ["config"]

"""The config ``yolox_l`` of the model zoo: see ``detkit/zoo/yolox_l.py``."""

from detkit.zoo.yolox_l import config

__all__ = ["config"]

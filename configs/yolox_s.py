"""The config ``yolox_s`` of the model zoo: see ``detkit/zoo/yolox_s.py``."""

from detkit.zoo.yolox_s import config

__all__ = ["config"]

"""The config ``yolox_tiny`` of the model zoo: see ``detkit/zoo/yolox_tiny.py``."""

from detkit.zoo.yolox_tiny import config

__all__ = ["config"]

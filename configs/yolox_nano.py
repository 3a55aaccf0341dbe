"""The config ``yolox_nano`` of the model zoo: see ``detkit/zoo/yolox_nano.py``."""

from detkit.zoo.yolox_nano import config

__all__ = ["config"]

"""The config ``light_lite0`` of the model zoo: see ``detkit/zoo/light_lite0.py``."""

from detkit.zoo.light_lite0 import config

__all__ = ["config"]

"""The config ``light_lite0_bccd`` of the model zoo: see ``detkit/zoo/light_lite0_bccd.py``."""

from detkit.zoo.light_lite0_bccd import config

__all__ = ["config"]

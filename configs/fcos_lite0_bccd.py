"""The config ``fcos_lite0_bccd`` of the model zoo: see ``detkit/zoo/fcos_lite0_bccd.py``."""

from detkit.zoo.fcos_lite0_bccd import config

__all__ = ["config"]

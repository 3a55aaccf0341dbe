"""The config ``sppnet_lite0_bccd`` of the model zoo: see ``detkit/zoo/sppnet_lite0_bccd.py``."""

from detkit.zoo.sppnet_lite0_bccd import config

__all__ = ["config"]

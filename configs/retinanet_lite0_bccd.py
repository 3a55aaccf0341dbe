"""The config ``retinanet_lite0_bccd`` of the model zoo: see ``detkit/zoo/retinanet_lite0_bccd.py``."""

from detkit.zoo.retinanet_lite0_bccd import config

__all__ = ["config"]

"""The config ``detr_lite0_bccd`` of the model zoo: see ``detkit/zoo/detr_lite0_bccd.py``."""

from detkit.zoo.detr_lite0_bccd import config

__all__ = ["config"]

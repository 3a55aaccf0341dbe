"""The config ``classify_bccd_crops`` of the model zoo: see ``detkit/zoo/classify_bccd_crops.py``."""

from detkit.zoo.classify_bccd_crops import config

__all__ = ["config"]

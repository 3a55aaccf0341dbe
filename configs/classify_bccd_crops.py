"""The config ``classify_bccd_crops`` of the model zoo: see ``detkit/zoo/classifiers``."""

from detkit.zoo.classifiers.classify_bccd_crops import config

__all__ = ["config"]

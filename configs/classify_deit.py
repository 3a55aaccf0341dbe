"""The config ``classify_deit`` of the model zoo: see ``detkit/zoo/classifiers``."""

from detkit.zoo.classifiers.classify_deit import config

__all__ = ["config"]

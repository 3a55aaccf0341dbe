"""The config ``classify_folder`` of the model zoo: see ``detkit/zoo/classifiers``."""

from detkit.zoo.classifiers.classify_folder import config

__all__ = ["config"]

"""The config ``classify_deit`` of the model zoo: see ``detkit/zoo/classify_deit.py``."""

from detkit.zoo.classify_deit import config

__all__ = ["config"]

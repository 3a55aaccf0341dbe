"""The config ``classify_folder`` of the model zoo: see ``detkit/zoo/classify_folder.py``."""

from detkit.zoo.classify_folder import config

__all__ = ["config"]

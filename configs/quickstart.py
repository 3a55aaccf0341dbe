"""The config ``quickstart`` of the model zoo: see ``detkit/zoo/quickstart.py``."""

from detkit.zoo.quickstart import config

__all__ = ["config"]

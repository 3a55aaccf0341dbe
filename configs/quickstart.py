"""The config ``quickstart`` of the model zoo: see ``detkit/zoo/house``."""

from detkit.zoo.house.quickstart import config

__all__ = ["config"]

"""The config ``embedded`` of the model zoo: see ``detkit/zoo/house``."""

from detkit.zoo.house.embedded import config

__all__ = ["config"]

"""The config ``embedded_bccd`` of the model zoo: see ``detkit/zoo/house``."""

from detkit.zoo.house.embedded_bccd import config

__all__ = ["config"]

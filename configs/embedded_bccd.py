"""The config ``embedded_bccd`` of the model zoo: see ``detkit/zoo/embedded_bccd.py``."""

from detkit.zoo.embedded_bccd import config

__all__ = ["config"]

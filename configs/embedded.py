"""The config ``embedded`` of the model zoo: see ``detkit/zoo/embedded.py``."""

from detkit.zoo.embedded import config

__all__ = ["config"]

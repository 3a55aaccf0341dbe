"""The config ``deim_dfine_s`` of the model zoo: see ``detkit/zoo/deim``."""

from detkit.zoo.deim.deim_dfine_s import config

__all__ = ["config"]

"""The config ``deim_dfine_s`` of the model zoo: see ``detkit/zoo/queries``."""

from detkit.zoo.queries.deim_dfine_s import config

__all__ = ["config"]

"""The config ``dfine_s`` of the model zoo: see ``detkit/zoo/queries``."""

from detkit.zoo.queries.dfine_s import config

__all__ = ["config"]

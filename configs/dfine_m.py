"""The config ``dfine_m`` of the model zoo: see ``detkit/zoo/queries``."""

from detkit.zoo.queries.dfine_m import config

__all__ = ["config"]

"""The config ``dfine_x`` of the model zoo: see ``detkit/zoo/queries``."""

from detkit.zoo.queries.dfine_x import config

__all__ = ["config"]

"""The config ``dfine_n`` of the model zoo: see ``detkit/zoo/queries``."""

from detkit.zoo.queries.dfine_n import config

__all__ = ["config"]

"""The config ``dfine_l`` of the model zoo: see ``detkit/zoo/queries``."""

from detkit.zoo.queries.dfine_l import config

__all__ = ["config"]

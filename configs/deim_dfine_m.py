"""The config ``deim_dfine_m`` of the model zoo: see ``detkit/zoo/queries``."""

from detkit.zoo.queries.deim_dfine_m import config

__all__ = ["config"]

"""The config ``dfine_embedded_bccd`` of the model zoo: see ``detkit/zoo/queries``."""

from detkit.zoo.queries.dfine_embedded_bccd import config

__all__ = ["config"]

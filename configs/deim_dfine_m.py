"""The config ``deim_dfine_m`` of the model zoo: see ``detkit/zoo/deim``."""

from detkit.zoo.deim.deim_dfine_m import config

__all__ = ["config"]

"""The config ``deim_dfine_x`` of the model zoo: see ``detkit/zoo/deim``."""

from detkit.zoo.deim.deim_dfine_x import config

__all__ = ["config"]

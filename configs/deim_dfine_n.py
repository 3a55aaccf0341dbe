"""The config ``deim_dfine_n`` of the model zoo: see ``detkit/zoo/deim``."""

from detkit.zoo.deim.deim_dfine_n import config

__all__ = ["config"]

"""The config ``deim_dfine_l`` of the model zoo: see ``detkit/zoo/deim``."""

from detkit.zoo.deim.deim_dfine_l import config

__all__ = ["config"]

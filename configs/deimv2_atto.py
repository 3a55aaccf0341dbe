"""The config ``deimv2_atto`` of the model zoo: see ``detkit/zoo/deim``."""

from detkit.zoo.deim.deimv2_atto import config

__all__ = ["config"]

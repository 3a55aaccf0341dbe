"""The config ``deimv2_n`` of the model zoo: see ``detkit/zoo/deim``."""

from detkit.zoo.deim.deimv2_n import config

__all__ = ["config"]

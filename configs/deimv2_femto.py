"""The config ``deimv2_femto`` of the model zoo: see ``detkit/zoo/deim``."""

from detkit.zoo.deim.deimv2_femto import config

__all__ = ["config"]

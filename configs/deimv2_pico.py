"""The config ``deimv2_pico`` of the model zoo: see ``detkit/zoo/deim``."""

from detkit.zoo.deim.deimv2_pico import config

__all__ = ["config"]

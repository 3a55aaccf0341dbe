"""The config ``sppnet_zf`` of the model zoo: see ``detkit/zoo/sppnet_zf.py``."""

from detkit.zoo.sppnet_zf import config

__all__ = ["config"]

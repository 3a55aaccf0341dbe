"""The config ``deim_rtdetr_v2_r18`` of the model zoo: see ``detkit/zoo/deim``."""

from detkit.zoo.deim.deim_rtdetr_v2_r18 import config

__all__ = ["config"]

"""The config ``deim_rtdetr_v2_r18`` of the model zoo: see ``detkit/zoo/queries``."""

from detkit.zoo.queries.deim_rtdetr_v2_r18 import config

__all__ = ["config"]

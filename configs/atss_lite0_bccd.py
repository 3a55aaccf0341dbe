"""The config ``atss_lite0_bccd`` of the model zoo: see ``detkit/zoo/dense``."""

from detkit.zoo.dense.atss_lite0_bccd import config

__all__ = ["config"]

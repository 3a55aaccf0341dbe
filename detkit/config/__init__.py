"""Typed, frozen configs: declared next to the code they configure, overridden by ``key=value``, serialized as JSON."""

from detkit.config.base import Config, ConfigError
from detkit.config.files import load_config
from detkit.config.kinds import one_of_kinds
from detkit.config.overrides import apply_overrides

__all__ = ["Config", "ConfigError", "apply_overrides", "load_config", "one_of_kinds"]

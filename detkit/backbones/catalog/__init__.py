"""Static information on every backbone of this package, grouped by age and kind."""

from detkit.backbones.catalog import classics, darknets, mobile, modern, residual

CATALOG = (*classics.MEMBERS, *residual.MEMBERS, *mobile.MEMBERS, *darknets.MEMBERS, *modern.MEMBERS)
"""The entry of every backbone of this package."""

__all__ = ["CATALOG"]

"""Facts about every backbone, by age and kind."""

from detkit.backbones.known import classics, darknets, mobile, modern, residual

KNOWN = (*classics.MEMBERS, *residual.MEMBERS, *mobile.MEMBERS, *darknets.MEMBERS, *modern.MEMBERS)
"""The facts of every backbone of this package."""

__all__ = ["KNOWN"]

"""What a head asks of the levels it stands on."""

from __future__ import annotations

from collections.abc import Sequence


def common_channels(channels: Sequence[int], owner: str) -> int:
    """The channels that all levels have.

    Raises:
        ValueError: they differ; the message names ``owner``, the part that needs them equal.
    """
    if len(set(channels)) != 1:
        raise ValueError(f"{owner}: expected the same channels on every level, got {tuple(channels)}; use the neck fpn, or a single level")
    return channels[0]

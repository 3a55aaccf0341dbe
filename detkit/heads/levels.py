"""Checks of the feature levels that a head is built on."""

from __future__ import annotations

from collections.abc import Sequence


def common_channels(channels: Sequence[int], owner: str) -> int:
    """Return the number of channels that all levels share.

    Args:
        channels: Channels of each level.
        owner: The part that needs them to be equal; the error message names it.

    Raises:
        ValueError: If the levels differ in channels.
    """
    if len(set(channels)) != 1:
        raise ValueError(
            f"{owner}: expected the same channels on every level, got {tuple(channels)}; use model.neck.kind=fpn, or a single level"
        )
    return channels[0]

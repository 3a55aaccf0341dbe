"""The options of ``detkit info``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class InfoOptions:
    """Options of ``detkit info``.

    Attributes:
        subject: Data, a config or a model; None: this machine.
        overrides: Keys of a config to override, as ``key=value``.
        size: ``(height, width)`` of the image for the profile.
        data: Labeled data whose boxes the anchors are compared with.
        images: Folder of the images of ``data``.
        split: Part of the data; None: all parts.
        receptive_fields: Whether to measure the receptive fields of the maps.
        json: File of the numbers of a config or model as JSON.
    """

    subject: str | None = None
    overrides: tuple[str, ...] = ()
    size: tuple[int, int] = (480, 640)
    data: str | None = None
    images: str | None = None
    split: str | None = None
    receptive_fields: bool = False
    json: str | None = None

"""Telling videos from images by their names, without a decoder."""

from __future__ import annotations

from pathlib import Path

VIDEO_EXTENSIONS: tuple[str, ...] = (
    ".mp4",
    ".m4v",
    ".mov",
    ".avi",
    ".mkv",
    ".webm",
    ".mpg",
    ".mpeg",
    ".wmv",
    ".flv",
    ".3gp",
    ".mts",
    ".m2ts",
)
"""File extensions of videos, in lower case."""


def is_video(path: str | Path) -> bool:
    """Return whether a file has the extension of a video."""
    return Path(path).suffix.lower() in VIDEO_EXTENSIONS

"""Detecting the type of a file from its first bytes, for clear errors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detkit.registry import did_you_mean

_LARGEST_HEADER = 100_000_000
"""Bytes; the limit of safetensors itself."""


def check_file(path: Path, known_names: Sequence[str] = ()) -> dict[str, str]:
    """Return the metadata of a complete safetensors file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is of another type, truncated or damaged.
    """
    check_exists(path, "checkpoint", known_names)
    size = path.stat().st_size
    with path.open("rb") as handle:
        start = handle.read(8)
        _check_type(path, start, size)
        length = int.from_bytes(start, "little")
        text = handle.read(length) if length <= min(size, _LARGEST_HEADER) else b""
    if not text.startswith(b"{") and length > size:
        raise ValueError(
            f"checkpoint {path}: not a safetensors file, or truncated: expected a header of {length} bytes, got a file of {size} bytes"
        )
    try:
        header: dict[str, Any] = json.loads(text)
    except ValueError:
        raise ValueError(f"checkpoint {path}: not a safetensors file: it begins with {start!r}, which no JSON header follows") from None
    metadata: dict[str, str] = header.pop("__metadata__", {})
    expected = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if size != expected:
        state = "truncated" if size < expected else "damaged"
        raise ValueError(
            f"checkpoint {path}: {state}: expected {expected} bytes, got {size}; copy it again or use another checkpoint of the run"
        )
    return metadata


def check_exists(path: Path, noun: str, known_names: Sequence[str] = ()) -> None:
    """Check that a path is a file.

    Args:
        path: The path.
        noun: What the file is, for the message.
        known_names: Other names that the caller accepts, for a suggestion.

    Raises:
        FileNotFoundError: If it is not; the message suggests one of ``known_names`` or of the files in the same folder.
    """
    if path.is_dir():
        inside = sorted(p.name for p in path.glob("*.safetensors"))
        raise FileNotFoundError(f"{noun} {path}: expected a file, got a folder" + (f"; it contains: {', '.join(inside)}" if inside else ""))
    if not path.is_file():
        listed = bool(path.suffix) and path.parent.is_dir()
        siblings = sorted(str(p) for p in path.parent.glob("*" + path.suffix) if p.is_file()) if listed else []
        names = [*known_names, *siblings]
        raise FileNotFoundError(f"{noun} {path}: no such file" + (f"; {did_you_mean(str(path), names)}" if names else ""))


def _check_type(path: Path, start: bytes, size: int) -> None:
    if size < 8:
        raise ValueError(f"checkpoint {path}: not a safetensors file: it has only {size} bytes; possibly an interrupted copy")
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        raise ValueError(
            f"checkpoint {path}: expected a detkit checkpoint (.safetensors), got a pickle (.pth, .pt), not opened because it can execute "
            "code; convert released files with detkit models import"
        )

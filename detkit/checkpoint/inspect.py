"""What a file is, from its first bytes, so that an error can say it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detkit.registry import did_you_mean

_LARGEST_HEADER = 100_000_000
"""Bytes; the limit that safetensors sets itself."""


def check_file(path: Path, known_names: Sequence[str] = ()) -> dict[str, str]:
    """The metadata of a whole safetensors file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is something else, or cut short; the message says which.
    """
    check_exists(path, "checkpoint", known_names)
    size = path.stat().st_size
    with path.open("rb") as handle:
        start = handle.read(8)
        _refuse_foreign(path, start, size)
        length = int.from_bytes(start, "little")
        text = handle.read(length) if length <= min(size, _LARGEST_HEADER) else b""
    if not text.startswith(b"{") and length > size:
        raise ValueError(
            f"checkpoint {path}: not a safetensors file, or cut short: its header should have {length} bytes, the file has {size}"
        )
    try:
        header: dict[str, Any] = json.loads(text)
    except ValueError:
        raise ValueError(f"checkpoint {path}: not a safetensors file: it begins with {start!r} and no header in JSON follows") from None
    metadata: dict[str, str] = header.pop("__metadata__", {})
    expected = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if size != expected:
        what = "cut short" if size < expected else "damaged"
        raise ValueError(
            f"checkpoint {path}: {what}: expected {expected} bytes, got {size}; copy it again or use another checkpoint of the run"
        )
    return metadata


def check_exists(path: Path, what: str, known_names: Sequence[str] = ()) -> None:
    """Complain about a path that is no file.

    Raises:
        FileNotFoundError: with a suggestion, among ``known_names`` and the files beside it.
    """
    if path.is_dir():
        inside = sorted(p.name for p in path.glob("*.safetensors"))
        raise FileNotFoundError(f"{what} {path}: expected a file, got a folder" + (f"; it has: {', '.join(inside)}" if inside else ""))
    if not path.is_file():
        beside = sorted(str(p) for p in path.parent.glob("*" + path.suffix) if p.is_file()) if path.suffix and path.parent.is_dir() else []
        names = [*known_names, *beside]
        raise FileNotFoundError(f"{what} {path}: no such file" + (f"; {did_you_mean(str(path), names)}" if names else ""))


def _refuse_foreign(path: Path, start: bytes, size: int) -> None:
    if size < 8:
        raise ValueError(f"checkpoint {path}: not a safetensors file: it has {size} bytes; an interrupted copy?")
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        raise ValueError(
            f"checkpoint {path}: a pickle (.pth, .pt), which can run code when it is opened, so it was not; "
            "expected a detkit checkpoint (.safetensors): detkit weights import makes one of released files"
        )

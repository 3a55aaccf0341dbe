"""Detecting the type of a file from its first bytes, for clear errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detkit.checkpoint.fields import Field, check_fields, is_count, is_mapping, is_text
from detkit.json_text import parse_json
from detkit.printable import shortened
from detkit.registry import did_you_mean

_ADVICE = "the file is damaged or was not written by detkit: copy it again, or use another checkpoint"

_LARGEST_HEADER = 25_000_000
"""Bytes. A model of a thousand layers has a tenth of a megabyte; parsed, a header takes up to thirty times its size."""


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_count, value))


def _are_offsets(value: Any) -> bool:
    return _are_sizes(value) and len(value) == 2 and value[0] <= value[1]


_ENTRY = {
    "dtype": Field("text", is_text),
    "shape": Field("a list of sizes", _are_sizes),
    "data_offsets": Field("two ascending positions", _are_offsets),
}
"""The fields of a tensor in the header of a safetensors file."""


def check_file(path: Path, known_names: Sequence[str] = ()) -> dict[str, str]:
    """Return the metadata of a complete safetensors file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is of another type, truncated or damaged.
    """
    check_exists(path, "checkpoint", known_names)
    size = path.stat().st_size
    with path.open("rb") as handle:
        start, first = handle.read(8), handle.read(1)
        if first != b"{":  # the length of a header can have the bytes of another type
            _check_type(path, start, size)
        length = int.from_bytes(start, "little")
        text = first + handle.read(length - 1) if 0 < length <= min(size, _LARGEST_HEADER) else b""
    if not text.startswith(b"{") and length > size:
        raise ValueError(
            f"checkpoint {path}: not a safetensors file, or truncated: expected a header of {length} bytes, got a file of {size} bytes"
        )
    if length > _LARGEST_HEADER:
        raise ValueError(f"checkpoint {path}: expected a header of at most {_LARGEST_HEADER:,} bytes, got {length:,}; {_ADVICE}")
    header = _parse_header(path, start, text)
    metadata: dict[str, str] = header.pop("__metadata__", {})
    expected = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if size != expected:
        state = "truncated" if size < expected else "damaged"
        raise ValueError(
            f"checkpoint {path}: {state}: expected {expected} bytes, got {size}; copy it again or use another checkpoint of the run"
        )
    return metadata


def _parse_header(path: Path, start: bytes, text: bytes) -> dict[str, Any]:
    """Return the parsed header of a safetensors file, with every field of a known type."""
    if not text.startswith(b"{"):
        raise ValueError(f"checkpoint {path}: not a safetensors file: it begins with {start!r}, which no JSON header follows")
    header: dict[str, Any] = parse_json(text, f"checkpoint {path}: header of the safetensors file")
    for name, entry in header.items():
        if name != "__metadata__":
            check_fields(entry, _ENTRY, f"checkpoint {path}: header of the tensor {shortened(name, 80)!r}", _ADVICE)
    metadata = header.get("__metadata__", {})
    if not is_mapping(metadata) or not all(map(is_text, metadata.values())):
        raise ValueError(f"checkpoint {path}: expected text in the metadata of the safetensors file, got other values; {_ADVICE}")
    return header


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

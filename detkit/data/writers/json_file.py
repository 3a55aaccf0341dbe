"""JSON files of labels, in the characters of their names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from detkit.checkpoint.atomic import write_text


def json_text(content: Any, indent: int | None = None) -> str:
    """Return a value as JSON; names are not escaped, so that a person can read them.

    Half of a surrogate pair, which a name on disk can have, is escaped, because UTF-8 does not have it.
    """
    text = json.dumps(content, ensure_ascii=False, indent=indent)
    return text if _is_utf8(text) else json.dumps(content, indent=indent)


def write_json_labels(path: Path, content: Any, indent: int | None = None) -> None:
    """Write a value as JSON atomically; see :func:`json_text`."""
    write_text(path, json_text(content, indent) + "\n")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

"""JSON from files, parsed so that every fault is one sentence that names the file."""

from __future__ import annotations

import json
from typing import Any


def parse_json(text: str | bytes, name: str) -> Any:
    """Parse JSON.

    Args:
        text: The content of a file, or a part of it.
        name: What the text is, with its file, for the message.

    Raises:
        ValueError: If it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(f"{name}: its JSON is nested too deeply to be read; expected a few levels") from None
    except ValueError as error:  # wrong syntax, wrong encoding, or a number of thousands of digits
        raise ValueError(f"{name}: expected JSON, got {error}; is the file complete?") from None

"""The exact numbers of a page, read back from its HTML."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any


class Numbers(HTMLParser):
    """The exact values of a page by key, and its JSON blocks."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.values: list[tuple[str, str, str]] = []
        self.blocks: dict[str, Any] = {}
        self.links: list[str] = []
        self.ids: set[str] = set()
        self._block: str | None = None
        self._shown = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        if "id" in given:
            assert given["id"] not in self.ids
            self.ids.add(given["id"])
        if "data-value" in given:
            self.values.append((given.get("data-key") or "", given["data-value"], ""))
        if tag == "a":
            self.links.append(given.get("href", ""))
        self._block = given["id"] if given.get("type") == "application/json" else None

    def handle_data(self, data: str) -> None:
        if self._block is not None:
            self.blocks[self._block] = json.loads(data)
            self._block = None
        elif self.values and not self.values[-1][2]:
            self.values[-1] = (*self.values[-1][:2], data)


def at(content: Any, key: str) -> Any:
    for part in key.split("/"):
        content = content[int(part)] if isinstance(content, list) else content[part]
    return content


def check_numbers(page: Numbers, content: Any) -> int:
    """Check that every number with a key has the value of the JSON to the last digit, and return how many there are."""
    keyed = [(key, value) for key, value, _ in page.values if key]
    for key, value in keyed:
        expected = at(content, key)
        assert value == ("" if expected is None else repr(expected)), key
    return len(keyed)

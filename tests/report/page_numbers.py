"""The exact numbers of a page, read back from its HTML, and pages of models with random weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import torch

from detkit.checkpoint import make_header, save_checkpoint
from detkit.cli.main import main


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


def evaluate_untrained(folder: Path, config: Any, classes: Sequence[str]) -> None:
    """Evaluate a model with random weights on the data in ``folder / "data"``; write ``r.html`` and ``n.json``."""
    torch.manual_seed(4)
    model = config.build(len(classes))
    for parameter in model.parameters():
        parameter.data *= 3  # so that the predictions differ between images
    save_checkpoint(folder / "model.safetensors", model.state_dict(), make_header(config.to_json(), list(classes)))
    words = ["evaluate", str(folder / "model.safetensors"), "--data", str(folder / "data"), "--device", "cpu", "--precision", "fp32"]
    assert main([*words, "--json", str(folder / "n.json"), "--report", str(folder / "r.html")]) == 0

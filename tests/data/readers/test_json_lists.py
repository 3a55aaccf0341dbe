"""Streaming of JSON lists gives what the parser gives, wherever a block ends, and notices what is not JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detkit import json_lists
from detkit.json_lists import NotStreamableError, parsed_items, read_lists

CONTENT: dict[str, Any] = {
    "info": {"nested": {"list": [1, {"a": "]}"}]}, "year": 2020},
    "images": [{"id": 1, "name": 'quote " and \\ and \\" [ {'}, {"id": 2, "deep": [[{"x": []}]]}],
    "none": [],
    "annotations": [{"id": number, "bbox": [1, 2, 3, number], "text": "\\" * (number % 5) + '"}],'} for number in range(60)],
    "numbers": [1, 2, 3],
    "plain": "te[xt",
    "mixed": [1, {"a": 1}, "b", [2], None],
    'é"]': [{"last": True}],
}


def streamed(path: Path) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    lists: dict[str, list[Any]] = {}
    data = path.read_bytes()

    def consume(key: str, text: bytes, position: int) -> None:
        assert data[position : position + len(text)] == text
        lists.setdefault(key, []).extend(parsed_items(text))

    return read_lists(path, consume), lists


@pytest.mark.parametrize("block", [1, 2, 3, 7, 64, 1000, 1 << 20])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_blocks_of_any_length_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, indent: int | None, bom: bytes
) -> None:
    monkeypatch.setattr(json_lists, "BLOCK", block)
    path = tmp_path / "a.json"
    path.write_bytes(bom + json.dumps(CONTENT, indent=indent).encode())
    rest, lists = streamed(path)
    assert list(rest) == list(CONTENT)
    assert rest["info"] == CONTENT["info"]
    assert rest["plain"] == CONTENT["plain"]
    escaped = {key: value for key, value in CONTENT.items() if isinstance(value, list) and value}
    assert list(lists.values()) == list(escaped.values())


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [{"b": 1},]}',
        '{"a": [{"b": 1} {"c": 2}]}',
        '{"a": [{"b": 1}',
        '{"a": [{"b": 1}]',
        '{"a": [{"b": 1}]} x',
        '{"a": [{"b": 1}] "c": 2}',
        '{"a": [{"b": 1}], "a": [{"b": 1}]}',
        '[{"b": 1}]',
        "[1, 2]",
        '{[{"b": 1}]}',
        '{"a": [{"b": 1}}',
        "",
        "12",
        '"text',
    ],
)
@pytest.mark.parametrize("block", [3, 1 << 20])
def test_what_is_not_an_object_with_lists_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, block: int) -> None:
    monkeypatch.setattr(json_lists, "BLOCK", block)
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(NotStreamableError):
        streamed(path)


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lists, "BLOCK", 1000)
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"annotations": [{"id": number} for number in range(5000)]}))
    lengths: list[int] = []
    read_lists(path, lambda key, text, position: lengths.append(len(text)))
    assert max(lengths) < 1100
    assert sum(lengths) > 60_000

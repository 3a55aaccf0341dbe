"""Headers of other JSON types, of wrong values and beyond the limits: one sentence that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from detkit.checkpoint import load_checkpoint, make_header, read_header, save_checkpoint
from detkit.checkpoint.header import HEADER_KEY, MAX_CLASSES

TENSOR = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


def safetensors(path: Path, header: bytes, data: bytes = b"") -> Path:
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


def error_of(path: Path) -> str:
    with pytest.raises(ValueError, match="checkpoint") as error:
        load_checkpoint(path)
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    assert len(message) < 600 + len(str(path))
    return message


@pytest.mark.parametrize(
    "header",
    [
        b"[1]",
        b"7",
        b"null",
        b'"text"',
        b'{"a":{}}',
        b'{"a":1}',
        b'{"a":[]}',
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}',
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":["0","4"]}}',
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}',
        b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
        b'{"a":{"dtype":7,"shape":[1],"data_offsets":[0,4]}}',
        b'{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}',
        b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,4]}}',
        b'{"__metadata__":[]}',
        b'{"__metadata__":{"detkit":{}}}',
        b'{"__metadata__":{"detkit":7}}',
        b'{"__metadata__":null}',
        b'{"a":' * 100_000,
        b"{" + b"[" * 100_000,
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":\xff}',
    ],
)
def test_a_safetensors_header_of_another_type(tmp_path: Path, header: bytes) -> None:
    error_of(safetensors(tmp_path / "a.safetensors", header, bytes(4)))


def with_header(path: Path, text: str) -> Path:
    return safetensors(path, json.dumps({"__metadata__": {HEADER_KEY: text}, "w": TENSOR}).encode(), bytes(4))


@pytest.mark.parametrize("text", ["", "[]", "7", "null", '"text"', "{", "[" * 100_000, "{}", '{"model": "{}"}', '{"class_names": ["a"]}'])
def test_a_header_of_another_type(tmp_path: Path, text: str) -> None:
    error_of(with_header(tmp_path / "a.safetensors", text))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "1"),
        ("format", None),
        ("format", 1.5),
        ("detkit", 7),
        ("model", {"kind": "yolox"}),
        ("model", None),
        ("model", "not JSON"),
        ("model", "[]"),
        ("model", '{"kind": 7}'),
        ("model", '{"a":' * 100_000),
        ("class_names", "cat"),
        ("class_names", {"cat": 1}),
        ("class_names", [1, 2]),
        ("class_names", [["cat"]]),
        ("class_names", ["a"] * (MAX_CLASSES + 1)),
        ("experiment", {"data": 1}),
        ("metrics", [1]),
        ("metrics", {"AP": "high"}),
        ("min_score", "0.3"),
        ("min_score", -1),
        ("min_score", 7),
        ("min_score", float("nan")),
        ("min_score", True),
        ("step", "many"),
        ("operating_points", [1]),
        ("operating_points", {"overall": "best"}),
    ],
)
def test_a_field_of_a_wrong_type_is_named(tmp_path: Path, key: str, value: Any) -> None:
    header = {**make_header('{"kind": "yolox"}', ["cat"]), key: value}
    message = error_of(with_header(tmp_path / "a.safetensors", json.dumps(header)))
    assert key in message
    with pytest.raises(ValueError, match=key):
        save_checkpoint(tmp_path / "b.safetensors", {"w": torch.zeros(1)}, header)


def test_a_header_is_limited(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a header of at most 25,000,000 bytes, got 25,000,002"):
        read_header(safetensors(tmp_path / "a.safetensors", b"{" + b" " * 25_000_000 + b"}"))


def test_unknown_fields_are_kept(tmp_path: Path) -> None:
    header = make_header('{"kind": "yolox"}', ["cat", None], category_ids={"cat": 7}, later=[1])
    save_checkpoint(tmp_path / "a.safetensors", {"w": torch.zeros(1)}, header)
    assert read_header(tmp_path / "a.safetensors") == header


def test_a_header_whose_length_has_the_first_bytes_of_a_pickle(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, {"w": torch.zeros(1)}, make_header('{"kind": "yolox"}', ["cat"]))
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].ljust(0x480)
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
    assert path.read_bytes().startswith(b"\x80\x04")
    assert read_header(path)["class_names"] == ["cat"]

from __future__ import annotations

import pytest

from detkit.json_text import parse_json


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", "[" * 100_000, '{"a":' * 100_000, "9" * 5000])
def test_every_fault_is_one_sentence_with_the_name(text: str | bytes) -> None:
    with pytest.raises(ValueError, match="results a.json: ") as error:
        parse_json(text, "results a.json")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_json_is_parsed() -> None:
    assert parse_json(b'{"a": [1, null, "\xc3\xb6"]}', "a.json") == {"a": [1, None, "ö"]}

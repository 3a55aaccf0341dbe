from __future__ import annotations

import logging

import pytest

from detkit.printable import PrintableFormatter, printable, printable_lines, printable_message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünï 猫", "plain ünï 猫"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x1b[31m\x9b", "\\x1b[31m\\x9b"),
        ("\u202egnp\u2028", "\\u202egnp\\u2028"),
        ("latin\udce9", "latin\\udce9"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
    ],
)
def test_control_characters_are_visible(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_long_values_are_shortened() -> None:
    assert printable("x" * 50, longest=60) == "x" * 50
    text = printable("a" * 5000 + "z")
    assert len(text) < 1000
    assert text.endswith("z (5,001 characters)")


def test_lines_keep_their_breaks() -> None:
    assert printable_lines("a\n\tb\x1b") == "a\n\tb\\x1b"


def test_messages_are_one_line_of_limited_length() -> None:
    assert printable_message(ValueError("a\n  b \x1b[2J")) == "a b \\x1b[2J"
    assert printable_message(ValueError()) == "ValueError"
    message = printable_message(ValueError("optimizer.lr: got " + "(" * 3000))
    assert message.startswith("optimizer.lr: got (((")
    assert message.endswith("((( (3,000 characters)")
    assert len(printable_message(ValueError("a " * 100_000))) < 8_100


def test_log_records_are_formatted_visibly() -> None:
    record = logging.LogRecord("n", logging.INFO, "f", 1, "class %s", ("a\x1b[2Jb",), None)
    assert PrintableFormatter("%(message)s").format(record) == "class a\\x1b[2Jb"

"""Text from files and their names, made safe to print: no terminal escapes, no line breaks, not too long."""

from __future__ import annotations

import errno
import logging
import os
import re

LONGEST = 1000
"""Characters of a printed value; longer ones are shortened."""
_KEPT = "\u200c\u200d"
"""Joiners, without which names in several scripts cannot be written."""
_FORMAT = "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0001-\U000e007f"
_BREAKS = "\n\r\t"
_UNSAFE = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{_FORMAT}]")


def printable(value: object, longest: int = LONGEST) -> str:
    """Return a value on one line: characters that control terminals or the direction of text as escapes, and a long value shortened."""
    return escape_controls(shortened(str(value), longest))


def shortened(text: str, longest: int = LONGEST) -> str:
    """Return a text of more than ``longest`` characters without its middle, with its length."""
    if len(text) <= longest:
        return text
    return f"{text[: longest * 2 // 3]} ... {text[-longest // 6 :]} ({len(text):,} characters)"


def escape_controls(text: str, kept: str = "") -> str:
    """Return the text with control characters as escapes, except those in ``kept``."""
    if text.isprintable():
        return text
    return _UNSAFE.sub(lambda match: match[0] if match[0] in _KEPT or match[0] in kept else _escape(match[0]), text)


def printable_lines(text: str) -> str:
    """Return a text of several lines with all control characters but line breaks and tabs as escapes."""
    return escape_controls(text, _BREAKS)


def printable_message(error: BaseException) -> str:
    """Return an error's message on one line, its long values shortened; its type's name if it has no message."""
    text = " ".join(shortened(word, 400) for word in _message(error).split())
    return printable(text, 8 * LONGEST) or type(error).__name__


def _message(error: BaseException) -> str:
    """Return the message of an error; those of the system and of memory name neither the file first nor what to do."""
    if isinstance(error, MemoryError):
        return f"not enough memory{f': {error}' if str(error) else ''}; use smaller images, batches or files, or a machine with more"
    if not isinstance(error, OSError) or error.filename is None or error.strerror is None or str(error)[:6] != "[Errno":
        return str(error)
    names = " -> ".join(
        os.fsdecode(name) if isinstance(name, bytes) else str(name) for name in (error.filename, error.filename2) if name is not None
    )
    return f"{names}: {error.strerror}{_ADVICE.get(error.errno or 0, '')}"


_ADVICE = {
    errno.EACCES: "; check its permissions, or use another path",
    errno.EPERM: "; check its permissions, or use another path",
    errno.EROFS: "; use a path on another disk",
    errno.ENOSPC: "; make room, or use a path on another disk",
    errno.ELOOP: "; the link leads to itself: remove it",
    errno.ENAMETOOLONG: "; use a shorter name",
    errno.EMFILE: "; raise the limit with ulimit -n",
}
"""What to do about an error of the system, by its number."""


class PrintableFormatter(logging.Formatter):
    """Formats log records with control characters, such as those of a class name, as escapes."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the formatted record."""
        return printable_lines(super().format(record))


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")

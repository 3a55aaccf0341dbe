"""Refusal of named pipes, sockets and devices among the words of a command line, which would be read for ever."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from detkit.data.media.files import check_regular

_OPEN = ("/dev/fd/", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/null", "/dev/video", "/proc/self/fd/")
"""Beginnings of paths of cameras, and of what another program holds open, as in ``--results <(zcat results.json.gz)``."""


def check_words(values: Iterable[Any]) -> None:
    """Check that no value of the command line, nor of a ``key=value``, is the path of a named pipe, a socket or a device.

    Args:
        values: The values of all arguments.

    Raises:
        ValueError: If one is; the message names it.
    """
    for word in _words(list(values)):
        for path in {word, word.partition("=")[2]}:
            if path and not path.startswith(_OPEN):
                check_regular(path)


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, (str, Path)):
        yield str(value)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _words(item)

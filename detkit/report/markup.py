"""HTML from Python values: text is escaped, markup is not."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from typing import Any

from detkit.checkpoint.atomic import finite

_VOID = {"br", "hr", "img", "input", "meta"}
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
"""Characters that HTML does not allow, or UTF-8 cannot encode: control characters, and bytes of file names that are not UTF-8."""


class Html(str):
    """Markup, which is inserted as it is; any other text is escaped first."""

    __slots__ = ()


NOTHING = Html("")
DASH = Html("&ndash;")


Content = str | int | float | None
"""Children of a tag: text to escape, :class:`Html`, a number, or None for nothing."""


def tag(name: str, /, *children: Content, **attributes: Any) -> Html:
    """Return an element.

    Args:
        name: Name of the element.
        children: Its content; None is skipped.
        attributes: Its attributes: ``class_`` is ``class``, and other underscores are dashes (``data_value``). None and False leave an
            attribute out, True gives it no value.
    """
    opening = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None and value is not False)
    if name in _VOID:
        return Html(f"<{name}{opening}>")
    return Html(f"<{name}{opening}>{join(children)}</{name}>")


def join(children: Iterable[Content]) -> Html:
    """Return children one after the other."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children if child is not None))


def escape(text: object) -> Html:
    """Escape text for the content of an element or the value of an attribute; unprintable characters become U+FFFD."""
    return Html(html.escape(_UNPRINTABLE.sub("\ufffd", str(text))))


def json_block(identifier: str, value: Any) -> Html:
    """Return a ``script`` element that holds a value as JSON, with null for numbers that are not finite.

    Floats are written with all their digits, so that a reader gets the same number back.
    """
    text = json.dumps(finite(value), ensure_ascii=False, separators=(",", ":"))
    text = _UNPRINTABLE.sub("\ufffd", text).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return tag("script", Html(text), type="application/json", id=identifier)


def _attribute(key: str, value: Any) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(value)}"'

"""Seeded changes to valid content: values, texts and bytes as they occur in damaged, foreign and hostile files."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

ODD_TEXTS = (
    *("", " ", "0", "7", "-1", "1e3", "NaN", "None", "true", "yes", "x" * 3000, "a\nb", "a\tb", "\x1b[31mred", "\u202eevil", "=1+1"),
    *(
        "é",
        "日本",
        "\U0001f600",
        "\ud800",
        "\x00",
        "../../x",
        "/etc/passwd",
        "C:\\x\\a.jpg",
        "a.jpg ",
        "A.JPG",
        "file:///a.jpg",
        "a/../a.jpg",
    ),
    *("a.jpg?d=1", "%20", "{}", "%s", "~", "~nobody/x", "CON", "[", "(" * 300),
)
ODD_NUMBERS = (
    *(0, 1, -1, 2, 7, 0.5, -0.0, 1e-300, 1e308, -1e308, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**30, 10**400),
    *(float("nan"), float("inf"), float("-inf")),
)
ODD_VALUES: tuple[Any, ...] = (None, True, False, [], {}, [1, 2], [[]], {"a": 1}, [None], *ODD_TEXTS, *ODD_NUMBERS)

ODD_BYTES = (b"", b"\0", b"\0" * 64, b"\xff" * 16, b"\xef\xbb\xbf", b"\r\n", b"PK\x03\x04", b"<", b"{", b"[" * 2000, b"%PDF", b"\x80\x02")


def odd_value(rng: Random, depth: int = 3000) -> Any:
    """Return a value that few readers expect; sometimes nested, up to ``depth`` levels deep."""
    if rng.random() < 0.03:
        value: Any = 0
        for _ in range(rng.choice((min(50, depth), depth))):
            value = [value] if rng.random() < 0.5 else {"a": value}
        return value
    return copy.copy(rng.choice(ODD_VALUES))


def odd_text(rng: Random) -> str:
    """Return a text that few readers expect, sometimes of a number."""
    return str(rng.choice((*ODD_TEXTS, *ODD_NUMBERS, None, True)))


def mutate_value(rng: Random, value: Any, depth: int = 3000) -> Any:
    """Return a copy of JSON-like content with one or a few nodes replaced, removed, repeated, renamed or exchanged."""
    content = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        parents = [node for node in _containers(content) if node]
        if not parents or rng.random() < 0.02:
            return odd_value(rng, depth)
        _change(rng, rng.choice(parents), depth)
    return content


def _containers(value: Any, depth: int = 0) -> list[Any]:
    """Return all lists and dicts in the content, itself included, down to a depth that no real file exceeds."""
    if not isinstance(value, (dict, list)) or depth > 40:
        return []
    inner = value.values() if isinstance(value, dict) else value
    return [value, *(node for item in inner for node in _containers(item, depth + 1))]


def _change(rng: Random, parent: Any, depth: int) -> None:
    """Change one entry of a container."""
    keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
    key = rng.choice(keys)
    kind = rng.random()
    if kind < 0.5:
        parent[key] = _near(rng, parent[key]) if rng.random() < 0.3 else odd_value(rng, depth)
    elif kind < 0.62:
        del parent[key]
    elif kind < 0.72:
        other = rng.choice(keys)
        parent[key], parent[other] = parent[other], parent[key]
    elif kind < 0.82:
        parent[key] = [parent[key]] if rng.random() < 0.5 else {"a": parent[key]}
    else:
        _add(rng, parent, key, depth)


def _near(rng: Random, value: Any) -> Any:
    """Return a value of the same meaning in another type, or one close to it."""
    if isinstance(value, bool) or value is None:
        return rng.choice((0, 1, "true", "false", 2))
    if isinstance(value, (int, float)):
        return rng.choice((str(value), -value, value + 1, value * 1000, [value]))
    if isinstance(value, str):
        return rng.choice((value.upper(), value + " ", value[:-1], value * 2, [value], value.encode("utf-8", "surrogatepass").hex()))
    return rng.choice((to_json(value)[:200], [value, value]))


def _add(rng: Random, parent: Any, key: Any, depth: int) -> None:
    if isinstance(parent, list):
        parent.insert(rng.randrange(len(parent) + 1), _copied(parent[key]) if rng.random() < 0.6 else odd_value(rng, depth))
    elif rng.random() < 0.5:
        parent[rng.choice(ODD_TEXTS)] = odd_value(rng, depth)
    else:
        parent[f"{key}{rng.choice(('s', '_', ' ', 'X'))}"] = parent.pop(key)


DEEPEST = 300
"""Levels down to which content is copied and written as it is: each takes several of the thousand that Python allows."""


def is_deep(value: Any) -> bool:
    """Return whether content is nested in more than :data:`DEEPEST` levels."""
    level = [value]
    for _ in range(DEEPEST):
        level = [item for node in level if isinstance(node, (dict, list)) for item in (node.values() if isinstance(node, dict) else node)]
        if not level:
            return False
    return True


def _copied(value: Any) -> Any:
    """Return a copy, or the value itself if it is nested too deeply; it is only written."""
    return value if is_deep(value) else copy.deepcopy(value)


def mutate_bytes(rng: Random, data: bytes) -> bytes:
    """Return the bytes with a few of them flipped, removed, repeated or overwritten, or cut at the end."""
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(content) + 1)
        length = rng.choice((1, 1, 2, 4, 8, 64))
        kind = rng.randrange(8)
        if kind == 0:
            del content[at:]
        elif kind == 1:
            del content[at : at + length]
        elif kind == 2:
            content[at:at] = rng.choice(ODD_BYTES)
        elif kind == 3:
            content[at:at] = content[at : at + length] * rng.choice((1, 3, 50))
        elif kind == 4:
            content[at : at + length] = rng.randbytes(length)
        elif kind == 5:
            size = rng.choice((1, 2, 4, 8))
            number = rng.choice((0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31, 2**32 - 1, 2**63, rng.randrange(2**16)))
            content[at : at + size] = (number % 256**size).to_bytes(size, rng.choice(("little", "big")))
        elif at < len(content):
            content[at] ^= 1 << rng.randrange(8)
    return bytes(content)


def mutate_text(rng: Random, text: str) -> str:
    """Return the text with a few of its lines or words removed, repeated, exchanged or replaced."""
    lines = text.split("\n")
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(lines))
        kind = rng.randrange(6)
        if kind == 0 and len(lines) > 1:
            del lines[at]
        elif kind == 1:
            lines.insert(at, rng.choice(lines))
        elif kind == 2:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == 3:
            lines.insert(at, odd_text(rng))
        else:
            words = lines[at].split(" ")
            words[rng.randrange(len(words))] = odd_text(rng)
            lines[at] = " ".join(words)
    return "\n".join(lines)


ENCODINGS: tuple[str, ...] = ("utf-8", "utf-8-sig", "utf-16", "latin-1", "gb18030", "shift_jis", "utf-32")


def encode(rng: Random, text: str) -> bytes:
    """Encode a text, mostly in UTF-8, sometimes in another encoding or with bytes changed."""
    encoding = "utf-8" if rng.random() < 0.8 else rng.choice(ENCODINGS)
    data = text.encode(encoding, "replace" if encoding != "utf-8" else "surrogatepass")
    return mutate_bytes(rng, data) if rng.random() < 0.15 else data


def to_json(value: Any, **options: Any) -> str:
    """Return the content as JSON text, or brackets if it is nested more deeply than Python writes."""
    if is_deep(value):
        return "[" * 20_000
    return json.dumps(value, default=str, **options)  # a training state has tensors, too


def dump_json(rng: Random, value: Any) -> bytes:
    """Return the content as JSON, in one of the ways in which programs write it."""
    text = to_json(value, indent=rng.choice((None, None, 1)), ensure_ascii=rng.random() < 0.7)
    if rng.random() < 0.02:
        text = rng.choice(
            ("[" * 100_000, '{"a":' * 50_000, text * 2, text[: len(text) // 2], "// comment\n" + text, text.replace(":", "=", 1))
        )
    return encode(rng, text)

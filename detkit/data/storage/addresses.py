"""Names of what is not a plain file: addresses in object storage, and members of shards.

Both are written as paths, so that records, messages and pages treat them like any other image. Whatever reads a file asks this module
first. An address survives ``pathlib``, which makes one slash of two: ``s3:/bucket/a.jpg`` is ``s3://bucket/a.jpg``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from detkit.data.live.address import hide_credentials

SCHEMES = ("s3", "gs", "http", "https", "memory")
"""Schemes of the addresses that are opened."""
READ_ONLY = ("http", "https")
"""Schemes that nothing is written to."""
DIGEST_BYTES = 16
"""Length of the BLAKE2b digests of members and files."""

_ADDRESS = re.compile(rf"({'|'.join(SCHEMES)}):[/\\]+(?=[^/\\])", re.IGNORECASE)
_MEMBER = re.compile(rf"(?P<container>.+)#(?P<start>\d+)\+(?P<length>\d+)\+(?P<digest>[0-9a-f]{{{2 * DIGEST_BYTES}}})[/\\](?P<name>.+)")


def address_of(path: str | Path) -> str | None:
    """Return a path as an address; None if it is none."""
    text = str(path)
    match = _ADDRESS.match(text)
    return None if match is None else f"{match[1].lower()}://{text[match.end() :]}".replace("\\", "/")


def is_address(path: str | Path) -> bool:
    """Return whether a path is an address in object storage."""
    return _ADDRESS.match(str(path)) is not None


def is_stored(path: str | Path) -> bool:
    """Return whether a path is an address or a member of a shard, which are not read as plain files."""
    text = str(path)
    return is_address(text) or ("#" in text and _MEMBER.fullmatch(text) is not None)


def checked_address(text: str) -> str:
    """Return the address that a user or a label file states.

    Raises:
        ValueError: If it is none, or has an empty or ``.`` or ``..`` part, which storage and paths understand differently.
    """
    address = address_of(text)
    if address is None:
        raise ValueError(f"{shown(text)}: expected an address that begins with {', '.join(f'{scheme}://' for scheme in SCHEMES)}")
    parts = text[text.index(":") + 1 :].lstrip("/\\").partition("?")[0].rstrip("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{shown(text)}: expected an address without empty parts, '.' and '..'; write it in its plain form")
    return address.rstrip("/")


def joined(base: str, name: str) -> str:
    """Return the address or path of a name below another one."""
    return f"{base.rstrip('/')}/{name}"


def shown(address: str | Path) -> str:
    """Return an address for messages: without credentials, and without its query, which may hold a signature."""
    text = address_of(address) or str(address)
    return hide_credentials(text.partition("?")[0] if is_address(text) else text)


@dataclass(frozen=True)
class Member:
    """A range of bytes of a file: an image in a shard.

    Attributes:
        container: Path or address of the file.
        start: First byte.
        length: Number of bytes.
        digest: BLAKE2b digest of the bytes, 32 hexadecimal digits.
        name: Name of the image in its data set, with forward slashes.
    """

    container: str
    start: int
    length: int
    digest: str
    name: str

    def __str__(self) -> str:
        return f"{self.container}#{self.start}+{self.length}+{self.digest}/{self.name}"

    @classmethod
    def parse(cls, path: str | Path) -> Member | None:
        """Return the member that a path names; None if it names none."""
        text = str(path)
        match = _MEMBER.fullmatch(text) if "#" in text else None
        if match is None:
            return None
        container = address_of(match["container"]) or match["container"]
        return cls(container, int(match["start"]), int(match["length"]), match["digest"], match["name"].replace("\\", "/"))


def member_range(path: str | Path) -> tuple[int, str] | None:
    """Return length and digest of the member that a path names, faster than :meth:`Member.parse`; None if it names none."""
    text = str(path)
    match = _MEMBER.fullmatch(text) if "#" in text else None
    return None if match is None else (int(match["length"]), match["digest"])


def stored_name(path: str | Path) -> str | None:
    """Return the name that an image has in its shard, or the last part of an address; None for a plain file."""
    member = Member.parse(path)
    if member is not None:
        return member.name
    return Path(str(path).partition("?")[0]).name if is_address(path) else None

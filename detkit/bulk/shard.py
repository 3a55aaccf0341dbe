"""The rule that divides images into shards."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Self

_WORD = re.compile(r"(\d{1,9})/(\d{1,9})", re.ASCII)
_DIGITS = 5


@dataclass(frozen=True, order=True)
class Shard:
    """One of several disjoint parts of all images.

    An image is in the shard whose index is the 64-bit hash of its name modulo the number of shards. The name alone decides, so each
    image is in exactly one shard on every machine, in whatever order the images are listed.

    Attributes:
        index: Index of the shard, from 0.
        count: Number of shards.

    Raises:
        ValueError: If the index is not one of the shards.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"shard: expected an index from 0 to {self.count - 1} of {self.count} shards, got {self.index}")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shard that ``I/N`` names.

        Raises:
            ValueError: If the text is anything else, or ``I`` is not below ``N``.
        """
        match = _WORD.fullmatch(text)
        if match is None or int(match[1]) >= int(match[2]):
            raise ValueError(f"expected I/N, shard I of N, such as 0/4 for the first of four and 3/4 for the last; got {text!r}")
        return cls(int(match[1]), int(match[2]))

    def has(self, name: str) -> bool:
        """Return whether an image is in this shard, by its name in results."""
        return name_hash(name) % self.count == self.index

    @property
    def stem(self) -> str:
        """Name of the shard's file without its extension."""
        return f"shard-{self.index:0{_DIGITS}d}-of-{self.count:0{_DIGITS}d}"


def name_hash(name: str) -> int:
    """Return the 64-bit hash of an image's name: the first 8 bytes of its BLAKE2b digest of 16 bytes, as a little-endian number."""
    return full_hash(name) & 0xFFFFFFFFFFFFFFFF


def full_hash(name: str) -> int:
    """Return the BLAKE2b digest of 16 bytes of an image's name in UTF-8, as a little-endian number."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8"), digest_size=16).digest(), "little")

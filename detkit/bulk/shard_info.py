"""Facts about the run that wrote a file of results, as JSON in the metadata of its schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from detkit.about import __version__
from detkit.bulk.shard import Shard

KEY = b"detkit"
"""Key of the metadata."""
FORMAT, VERSION = "detkit detections", 2
"""Name of the format, and the version of the schema."""
READABLE = (1, 2)
"""Versions that are read; version 1 has no masks."""
_SHOWN_DIGITS = 12


class NotAShardError(ValueError):
    """A Parquet file is not one of results, or is of a version that is not known."""


@dataclass(frozen=True, kw_only=True)
class ShardInfo:
    """Properties of a file of results.

    Attributes:
        shard: The shard; ``0/1`` for the whole.
        images: Number of images in it, unreadable ones included.
        listed: Number of images that were listed for all shards, see :class:`detkit.bulk.listing.Listing`.
        listing: Digest of these images.
        model: The detector, as it was named.
        model_sha256: SHA-256 of its file.
        class_names: Class names by label; None for classes that are never reported.
        settings: What was asked for and changes detections: scores, classes, views; equal in all shards of a run.
        machine: Where it ran: device and precision; they change rounding only, and may differ between shards.
    """

    shard: Shard
    images: int
    listed: int
    listing: str
    model: str
    model_sha256: str
    class_names: tuple[str | None, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the properties as JSON."""
        own = {name: getattr(self, name) for name in ("images", "listed", "listing", "model", "model_sha256", "settings", "machine")}
        shard = {"shard": self.shard.index, "shards": self.shard.count}
        content = {"format": FORMAT, "version": VERSION, "detkit": __version__, **shard, **own, "class_names": list(self.class_names)}
        return json.dumps(content)

    @classmethod
    def from_metadata(cls, metadata: Mapping[bytes, bytes] | None, name: str) -> Self:
        """Return the properties in the metadata of a schema.

        Args:
            metadata: The metadata.
            name: The file, for messages.

        Raises:
            NotAShardError: If there are none, or they are of another version.
        """
        try:
            content = json.loads((metadata or {}).get(KEY, b"{}"))
            version = content.get("version")
            if content.get("format") == FORMAT and version not in READABLE:
                expected = " or ".join(map(str, READABLE))
                raise NotAShardError(
                    f"{name}: expected version {expected} of the results, got {version}; read it with the detkit that wrote it"
                )
            shard = Shard(content["shard"], content["shards"])
            own = {key: content[key] for key in ("images", "listed", "listing", "model", "model_sha256", "settings", "machine")}
            return cls(shard=shard, class_names=tuple(content["class_names"]), **own)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, NotAShardError):
                raise
            raise NotAShardError(f"{name}: expected results of `detkit detect --shard`, got another Parquet file") from None

    def differences(self, other: ShardInfo) -> Iterator[str]:
        """Yield what differs from another file of the same run, in words: the number of shards, images, model, settings."""
        if self.shard.count != other.shard.count:
            yield f"one of {self.shard.count} shards, expected one of {other.shard.count}"
        if self.model_sha256 != other.model_sha256 or self.class_names != other.class_names:
            yield f"another model, {self._model()}, expected {other._model()}"
        here, there = _plain(self.settings), _plain(other.settings)
        if keys := sorted(key for key in {*here, *there} if here.get(key) != there.get(key)):
            yield "other settings: " + "; ".join(f"{key} {here.get(key)!r}, expected {there.get(key)!r}" for key in keys)
        if (self.listed, self.listing) != (other.listed, other.listing):
            same = " others" if self.listed == other.listed else ""
            yield f"a shard of other images, {self.listed:,} in all, expected{same} {other.listed:,}"

    def _model(self) -> str:
        return f"{self.model} (SHA-256 {self.model_sha256[:_SHOWN_DIGITS]})"


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as they come back from JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(settings)))
    return plain

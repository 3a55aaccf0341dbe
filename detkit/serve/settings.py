"""Settings of a server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits and access of a server; times in seconds.

    Attributes:
        max_bytes: Largest body of a request.
        max_images: Most images of a request.
        queue: Most images that wait for a model.
        max_wait: Longest time that an image waits for others that are being received, if they fit into its batch.
        timeout: Longest time of a request.
        grace: Longest time for the answers to accepted requests after the server was asked to stop.
        api_key: Key that requests to ``/v1`` must have; None: no key.
        cors_origins: Origins of other web pages that may use the API.
    """

    max_bytes: int = 20_000_000
    max_images: int = 16
    queue: int = 64
    max_wait: float = 0.005
    timeout: float = 30.0
    grace: float = 30.0
    api_key: str | None = None
    cors_origins: tuple[str, ...] = ()

    @property
    def upload_memory(self) -> int:
        """Most bytes of all bodies together that are held at a time."""
        return 16 * self.max_bytes

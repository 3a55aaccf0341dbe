"""Words that name cameras and network addresses; passwords are taken out of them before anything is shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

HTTP = ("http", "https")
RTSP = ("rtsp", "rtsps")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LAST_CAMERA = 99
_LONGEST_STEM = 80
_HIDDEN = "***"


def is_camera(word: str) -> bool:
    """Return whether a word is the index of a camera: up to 99, and no file has this name."""
    return word.isascii() and word.isdigit() and int(word) <= _LAST_CAMERA and not Path(word).exists()


def is_address(word: str) -> bool:
    """Return whether a word is a network address, ``http://``, ``https://``, ``rtsp://`` or ``rtsps://``."""
    return scheme(word) in (*HTTP, *RTSP)


def is_live_word(word: str) -> bool:
    """Return whether a word names a source that is live for certain: the index of a camera, or ``rtsp://``.

    Whether an ``http`` address is live is known when it is opened.
    """
    return is_camera(word) or scheme(word) in RTSP


def scheme(word: str) -> str:
    """Return the scheme of a URL in lower case, ``""`` if the word is none."""
    match = _SCHEME.match(word)
    return match[1].lower() if match else ""


@dataclass(frozen=True)
class Address:
    """A network address.

    Attributes:
        url: The address without user and password.
        user: Name of the user; None without credentials.
        password: Password of the user, empty without one; it is never shown.
    """

    url: str
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, word: str) -> Address:
        """Return the parts of an address.

        Raises:
            ValueError: If it is not an ``http``, ``https``, ``rtsp`` or ``rtsps`` address with a host.
        """
        if not is_address(word):
            raise ValueError(f"{hide_credentials(word)}: expected an address that begins with http://, https:// or rtsp://")
        try:
            parts = urlsplit(word.strip())
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"{hide_credentials(word)}: not a valid address ({error}); check its host and port") from None
        if not host:
            raise ValueError(f"{hide_credentials(word)}: the address has no host; expected one such as http://192.168.1.20/video")
        user = None if parts.username is None else unquote(parts.username)
        return cls(_with_host(parts, parts.netloc.rpartition("@")[2]), user, unquote(parts.password or ""))

    @property
    def name(self) -> str:
        """The address for messages and results; credentials are shown as ``***``."""
        return self.url if self.user is None else self._with_user(_HIDDEN)

    @property
    def stem(self) -> str:
        """Beginning of the names of files that are made from the address: its file name, or the host without one."""
        parts = urlsplit(self.url)
        names = (
            re.sub(r"[^\w.-]+", "_", name).strip("._-")[:_LONGEST_STEM] for name in (Path(unquote(parts.path)).stem, parts.hostname or "")
        )
        return next(filter(None, names), "stream")

    @property
    def suffix(self) -> str:
        """Extension of the file name in lower case, with its dot."""
        return Path(unquote(urlsplit(self.url).path)).suffix.lower()

    @property
    def with_credentials(self) -> str:
        """The address as libraries need it to log in; not to be shown."""
        if self.user is None:
            return self.url
        return self._with_user(f"{quote(self.user, safe='')}:{quote(self.password, safe='')}")

    def _with_user(self, text: str) -> str:
        parts = urlsplit(self.url)
        return _with_host(parts, f"{text}@{parts.netloc}")


def hide_credentials(text: str) -> str:
    """Return a text with ``***`` in place of the credentials of any URL in it."""
    return re.sub(r"(?<=://)[^/?#\s]*@", f"{_HIDDEN}@", text)


def _with_host(parts: SplitResult, netloc: str) -> str:
    # URLs with characters that HTTP does not allow, such as spaces, are typed and copied; they are quoted as browsers do
    path, query = quote(parts.path, safe="/%:@!$&'()*+,;=~"), quote(parts.query, safe="/%:@!$&'()*+,;=~?[]")
    return urlunsplit((parts.scheme.lower(), netloc, path, query, ""))

"""Kinds of content behind an address: images, videos and MJPEG."""

from __future__ import annotations

from typing import Literal

from detkit.data.live.request import Answer
from detkit.data.media.extensions import VIDEO_EXTENSIONS
from detkit.data.media.images import IMAGE_EXTENSIONS

Kind = Literal["image", "video", "mjpeg"]

START = 64
"""Bytes by which the kind of a content is recognized."""

_VIDEOS = ((0, b"\x1aE\xdf\xa3"), (8, b"AVI "), (0, b"FLV\x01"), (0, b"\x00\x00\x01\xba"), (0, b"\x00\x00\x01\xb3"), (0, b"0&\xb2u"))
_IMAGES = (
    *((0, start) for start in (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    *((0, start) for start in (b"P5", b"P6", b"P2", b"P3", b"\0\0\0\x0cjP  ")),
    *((8, b"WEBP"), (4, b"ftypavif"), (4, b"ftypavis"), (4, b"ftyphei"), (4, b"ftypmif1")),
)


def kind_of(content_type: str, start: bytes, suffix: str) -> Kind | None:
    """Return the kind of a content; None if it is none of them.

    A multipart content type is certain, and so are the first bytes of most formats; servers often state a wrong type for files. Then the
    content type decides, and at last the extension.

    Args:
        content_type: Stated type of the content in lower case; empty if none is stated.
        start: Its first :data:`START` bytes, or all.
        suffix: Extension of the address in lower case, with its dot.
    """
    stated: Kind | None = {"multipart": "mjpeg", "image": "image", "video": "video"}.get(content_type.partition("/")[0])  # type: ignore[assignment]
    if stated == "mjpeg":
        return stated
    recognized = _recognize(start)
    if recognized == "image" and stated == "video" and start.startswith(b"\xff\xd8"):
        return "video"  # a file of JPEGs one after the other
    if recognized is not None or stated is not None:
        return recognized or stated
    if content_type.startswith("text/") or start.lstrip()[:1] == b"<":
        return None
    return "video" if suffix in VIDEO_EXTENSIONS else "image" if suffix in IMAGE_EXTENSIONS else None


def kind_of_answer(answer: Answer, suffix: str) -> tuple[Kind | None, bytes]:
    """Return the kind of the content of an answer, and its first bytes, which remain to be read."""
    start = b"" if answer.content_type.startswith("multipart/") else answer.peek(START)
    return kind_of(answer.content_type, start, suffix), start


def _recognize(start: bytes) -> Kind | None:
    if start.lstrip(b"\r\n").startswith(b"--") and b"\nContent-" in start.title():
        return "mjpeg"
    if any(start[offset : offset + len(magic)] == magic for offset, magic in _IMAGES):
        return "image"
    if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide") or any(start[at : at + len(magic)] == magic for at, magic in _VIDEOS):
        return "video"
    return None

from __future__ import annotations

import pytest

from detkit.data.live.kinds import kind_of

JPEG, PNG, MP4, AVIF = b"\xff\xd8\xff\xe0", b"\x89PNG\r\n", b"\0\0\0\x20ftypisom", b"\0\0\0\x20ftypavif"


@pytest.mark.parametrize(
    ("content_type", "start", "suffix", "kind"),
    [
        ("multipart/x-mixed-replace", b"", ".jpg", "mjpeg"),
        ("image/jpeg", JPEG, "", "image"),
        ("image/jpeg", MP4, "", "video"),  # a wrong type
        ("video/mp4", PNG, ".mp4", "image"),
        ("video/x-motion-jpeg", JPEG, "", "video"),
        ("application/octet-stream", JPEG, ".mp4", "image"),
        ("text/plain", MP4, "", "video"),
        ("application/octet-stream", AVIF, "", "image"),
        ("application/octet-stream", b"G@\0\x10", ".ts", None),
        ("application/octet-stream", b"G@\0\x10", ".mts", "video"),
        ("video/mp2t", b"G@\0\x10", "", "video"),
        ("text/plain", b"\r\n--x\r\nContent-type: image/jpeg\r\n", "", "mjpeg"),
        ("text/html", b"<!doctype html>", ".jpg", None),
        ("", b"<html>", ".mp4", None),
        ("application/json", b'{"error"', "", None),
        ("", b"", "", None),
    ],
)
def test_kinds(content_type: str, start: bytes, suffix: str, kind: str | None) -> None:
    assert kind_of(content_type, start, suffix) == kind

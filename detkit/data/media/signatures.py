"""The first bytes of files that are no images, for messages."""

from __future__ import annotations

_VIDEOS = ((4, b"ftypisom"), (4, b"ftypmp4"), (4, b"ftypM4V"), (4, b"ftypqt"), (0, b"\x1aE\xdf\xa3"), (8, b"AVI "))

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (4, b"ftypheic", "a HEIC image: convert it to JPEG or PNG first"),
    (4, b"ftypheix", "a HEIC image: convert it to JPEG or PNG first"),
    (4, b"ftypmif1", "a HEIF image: convert it to JPEG or PNG first"),
    *((offset, start, "a video: run detkit detect on it, or to train on its frames save them as images") for offset, start in _VIDEOS),
    (0, b"%PDF", "a PDF: save its pages as images first"),
    (0, b"<svg", "an SVG drawing: save it as PNG first"),
    (0, b"<?xml", "XML text"),
    (0, b"<!DOCTYPE html", "a web page: the download of the image failed, download it again"),
    (0, b"<html", "a web page: the download of the image failed, download it again"),
    (0, b"version https://git-lfs", "a Git LFS pointer: run `git lfs pull` to get the image itself"),
    (0, b"PK\x03\x04", "a zip archive: unpack it first"),
)
"""Offset and bytes that identify other kinds of files, and how a message describes them."""


_IMAGES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"GIF8", "GIF"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (8, b"WEBP", "WebP"),
    (4, b"ftypavi", "AVIF"),
    (0, b"BM", "BMP"),
)
"""Offset and bytes that identify images."""


def describe_bytes(data: bytes) -> str:
    """Return what bytes are that are no image, for a message, and what to do if that is known."""
    for offset, signature, description in _SIGNATURES:
        if data[offset : offset + len(signature)].lower() == signature.lower():
            return f"it is {description}"
    for offset, signature, name in _IMAGES:
        if data[offset : offset + len(signature)] == signature:
            return f"it begins as {name}, and is damaged or truncated; download or export the file again"
    if not any(data):
        return f"its {len(data)} bytes are all zero; the copy failed, download or export the file again"
    return f"it begins with {data[:8]!r}; expected JPEG, PNG, TIFF, WebP, BMP or GIF"

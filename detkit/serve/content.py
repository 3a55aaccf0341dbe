"""Content of a request: images and parameters, as multipart, JSON, or the bytes of an image."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from detkit.json_text import parse_json
from detkit.serve.errors import ApiError, Problem, invalid, repeated
from detkit.serve.multipart import parse_multipart

BINARY = "application/octet-stream"
MEDIA_TYPES = "multipart/form-data, image/*, application/octet-stream or application/json"
SEVERAL = "images"
"""Name of a part, or key, that can have several images; its answer is a list even for one."""


@dataclass(frozen=True)
class SentImage:
    """An image of a request.

    Attributes:
        data: The file's bytes.
        name: File name that the client sent, if any; it is only repeated in the answer.
    """

    data: bytes
    name: str | None = None


@dataclass(frozen=True)
class Content:
    """Images and parameters of a request.

    Attributes:
        images: The images, at least one.
        parameters: Values by name; JSON has numbers and lists, forms have lists of texts.
        several: Whether the answer is a list.
    """

    images: list[SentImage]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    several: bool = False


def parse_content(body: bytes, content_type: str, max_images: int) -> Content:
    """Return the images and parameters of a body.

    Args:
        body: The body.
        content_type: The header ``Content-Type``.
        max_images: Most images of a request.

    Raises:
        ApiError: If the type is not supported, the body is not of its type, or it has no image or too many.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        content = _from_form(body, content_type, max_images)
    elif kind == "application/json":
        content = _from_json(body)
    elif kind.startswith("image/") or kind == BINARY:
        content = Content([SentImage(body)])
    else:
        got = f"Content-Type {repeated(content_type)} is not supported" if content_type else "the request has no Content-Type"
        raise ApiError(Problem(415, "unsupported_media_type", got, MEDIA_TYPES))
    if not content.images:
        raise _bad_body("the request has no image", "an image as a file of a form, as the body, or as base64 in JSON")
    if len(content.images) > max_images:
        raise ApiError(
            Problem(413, "too_many_images", f"the request has {len(content.images)} images", f"at most {max_images} in one request")
        )
    return content


def _from_form(body: bytes, content_type: str, max_images: int) -> Content:
    images: list[SentImage] = []
    parameters: dict[str, list[str]] = {}
    several = False
    for part in parse_multipart(body, content_type, max_images):
        if part.file_name is None:
            parameters.setdefault(part.name, []).append(_text(part.name, part.data))
        else:
            images.append(SentImage(part.data, part.file_name or None))
            several |= part.name == SEVERAL
    return Content(images, parameters, several or len(images) > 1)


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        hint = "; an image needs a filename in its part" if data[:1] > b"\x7f" else ""
        raise invalid(f"{repeated(name)}: expected text, got bytes that are not UTF-8{hint}") from None


def _from_json(body: bytes) -> Content:
    try:
        values = parse_json(body, "the body")
    except ValueError:
        raise _bad_body("the body is not JSON", 'JSON such as {"image": "<base64>"}') from None
    if not isinstance(values, dict):
        raise _bad_body("the body is not a JSON object", 'an object such as {"image": "<base64>"}')
    if ("image" in values) == (SEVERAL in values):
        got = 'both "image" and "images"' if SEVERAL in values else 'neither "image" nor "images"'
        raise _bad_body(f"the JSON has {got}", "one of them")
    several = SEVERAL in values
    encoded = values.pop(SEVERAL) if several else [values.pop("image")]
    if not isinstance(encoded, list):
        raise _bad_body('"images" is not a list', "a list of base64 texts")
    return Content([SentImage(_decode_base64(text)) for text in encoded], values, several)


def _decode_base64(text: Any) -> bytes:
    expected = "the bytes of an image file as base64 (RFC 4648), or a data: URL of them; addresses are never fetched"
    if not isinstance(text, str):
        raise _bad_body(f"an image is {json.dumps(text)[:40]} instead of a text", expected)
    start, comma, _ = text[:100].partition(";base64,")
    payload = text[len(start) + len(comma) :] if comma and start.startswith("data:") else text
    try:
        return base64.b64decode("".join(payload.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ApiError(Problem(422, "invalid_base64", f"not base64: {repeated(text[:40])}", expected)) from None


def _bad_body(message: str, expected: str) -> ApiError:
    return ApiError(Problem(400, "invalid_body", message, expected))

"""Parts of a multipart body, kept in memory: nothing from a request is written to a file."""

from __future__ import annotations

from typing import Any, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from detkit.serve.errors import ApiError, Problem

MAX_FIELDS = 100
"""Most parts that are not files."""


class Part(NamedTuple):
    """A part of a form.

    Attributes:
        name: Name of the field.
        file_name: Name of the file as the client sent it; None for a part that is no file.
        data: Content.
    """

    name: str
    file_name: str | None
    data: bytes


class _Collector:
    """Collects the parts that a parser reports."""

    def __init__(self, max_files: int) -> None:
        self.parts: list[Part] = []
        self.complete = False
        self._left = {True: max_files, False: MAX_FIELDS}

    def on_part_begin(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._field, self._value, self._data = bytearray(), bytearray(), bytearray()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data += memoryview(data)[start:end]

    def on_part_end(self) -> None:
        options = parse_options_header(self._headers.get(b"content-disposition"))[1]
        if b"name" not in options:
            raise _damaged("a part has no name in its Content-Disposition")
        file = options.get(b"filename")
        self._left[file is not None] -= 1
        if self._left[file is not None] < 0:
            raise ApiError(Problem(413, "too_many_parts", "the form has too many parts", "fewer files, or fewer fields"))
        self.parts.append(Part(_decoded(options[b"name"]), None if file is None else _decoded(file), bytes(self._data)))
        self._data = bytearray()

    def on_end(self) -> None:
        self.complete = True

    def callbacks(self) -> Any:
        names = ("on_part_begin", "on_header_field", "on_header_value", "on_header_end", "on_part_data", "on_part_end", "on_end")
        return {name: getattr(self, name) for name in names}


def parse_multipart(body: bytes, content_type: str, max_files: int) -> list[Part]:
    """Return the parts of a ``multipart/form-data`` body.

    Args:
        body: The body.
        content_type: The header ``Content-Type`` with the boundary.
        max_files: Most files.

    Raises:
        ApiError: If the body is damaged or cut, or has too many parts.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise _damaged("its Content-Type has no boundary")
    collector = _Collector(max_files)
    try:
        parser = MultipartParser(boundary, collector.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise _damaged(str(error).splitlines()[0]) from None
    if not collector.complete:
        raise _damaged("its end is missing")
    return collector.parts


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _damaged(detail: str) -> ApiError:
    return ApiError(
        Problem(400, "invalid_body", f"the body is not a form that can be read: {detail}", "multipart/form-data with its boundary")
    )

from __future__ import annotations

import random
import time

import pytest
from stream_server import END, jpeg, part

from detkit.data.live import multipart
from detkit.data.live.multipart import Multipart, PartError

IMAGES = [jpeg(number) for number in range(4)]


def pieces(data: bytes, sizes: random.Random | int) -> Multipart:
    """Return the reader of a stream that arrives in pieces."""
    return Multipart(_reader(data, sizes), "frame")


def _reader(data: bytes, sizes: random.Random | int) -> multipart.Callable[[int], bytes]:
    position = 0

    def read(size: int) -> bytes:
        nonlocal position
        count = min(size, sizes if isinstance(sizes, int) else sizes.randint(1, 700))
        start, position = position, position + count
        return data[start:position]

    return read


def contents(parts: Multipart) -> list[bytes]:
    return list(iter(parts.next, None))


STREAMS = {
    "with lengths": b"".join(part(image) for image in IMAGES) + END,
    "without lengths": b"".join(part(image, length=False) for image in IMAGES) + END,
    "line feeds alone": b"".join(part(image, length=False, newline="\n") for image in IMAGES) + b"--frame--",
    "more dashes": b"".join(part(image, boundary="--frame") for image in IMAGES) + b"----frame--\r\n",
    "more dashes, no lengths": b"".join(part(image, boundary="----frame", length=False) for image in IMAGES) + b"------frame--\r\n",
    "too long lengths": b"".join(part(image, length=len(image) + 300) for image in IMAGES) + END,
    "preamble": b"This is a stream.\r\n\r\n" + b"".join(part(image) for image in IMAGES) + END,
    "garbage between": b"".join(part(image) + bytes([0, 255, 10, 45, 45, 10]) * 50 + b"\n--fram\n-frame\n" for image in IMAGES) + END,
    "empty lines": b"".join(b"\r\n\r\n" + part(image) for image in IMAGES) + END + b"epilogue",
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("sizes", [1 << 20, 7, random.Random(3)])
def test_parts(name: str, sizes: random.Random | int) -> None:
    parts = pieces(STREAMS[name], sizes)
    assert [image[: image.rfind(b"\xff\xd9") + 2] for image in contents(parts)] == IMAGES
    assert parts.closed
    assert parts.next() is None


def test_an_unknown_boundary_is_that_of_the_first_part() -> None:
    for stated in ("", "--"):
        assert contents(Multipart(_reader(STREAMS["without lengths"], 100), stated)) == IMAGES
    assert contents(Multipart(_reader(STREAMS["with lengths"], 100), "--frame")) == IMAGES


def test_a_part_with_too_short_a_length_is_lost_alone() -> None:
    stream = part(IMAGES[0]) + part(IMAGES[1], length=100) + part(IMAGES[2]) + END
    assert contents(pieces(stream, 64)) == [IMAGES[0], IMAGES[1][:100], IMAGES[2]]


@pytest.mark.parametrize("length", [True, False])
def test_an_end_between_parts_and_within_one(length: bool) -> None:
    parts = pieces(part(IMAGES[0]) + part(IMAGES[1]), 64)
    assert contents(parts) == IMAGES[:2]
    assert not parts.closed
    parts = pieces(part(IMAGES[0]) + part(IMAGES[1], length=length)[:-200], 64)
    assert parts.next() == IMAGES[0]
    with pytest.raises(PartError, match="the stream was cut within a part"):
        parts.next()
    parts = pieces(part(IMAGES[0]) + b"--frame\r\nContent-Ty", 64)
    assert parts.next() == IMAGES[0]
    with pytest.raises(PartError, match="the stream was cut in the headers of a part"):
        parts.next()


def test_hostile_streams_end_with_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "MAX_PART_BYTES", 200_000)
    endless = Multipart(lambda size: b"x" * size, "frame")
    with pytest.raises(PartError, match="no boundary within 200,000 bytes"):
        endless.next()
    headers = iter([b"--frame\r\n"])
    with pytest.raises(PartError, match="more than 64 headers"):
        Multipart(lambda size: next(headers, b"X-More: 1\r\n" * 10), "frame").next()
    long = part(b"y" * 300_000, length=False) + part(b"z" * 300_000) + part(IMAGES[0]) + END
    parts = pieces(long, 1 << 16)
    assert contents(parts) == [b"", b"", IMAGES[0]]
    assert len(parts._data) < 100


def test_a_part_has_to_come_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def slow(size: int) -> bytes:
        nonlocal now
        now += 9.0
        return b"--frame\r\n"[:1]

    monkeypatch.setattr(time, "monotonic", lambda: now)
    with pytest.raises(PartError, match="no complete part within 30 s"):
        Multipart(slow, "frame").next()


def test_anything_can_arrive() -> None:
    generator = random.Random(5)
    stream = bytearray(STREAMS["with lengths"] + STREAMS["without lengths"])
    for _ in range(300):
        damaged = bytearray(stream)
        for _ in range(generator.randint(1, 30)):
            start = generator.randrange(len(damaged))
            damaged[start : start + generator.randint(0, 40)] = generator.randbytes(generator.randint(0, 40))
        parts = pieces(bytes(damaged), 4096)
        try:
            found = contents(parts)
        except PartError:
            continue
        assert all(len(image) <= len(damaged) for image in found)

from __future__ import annotations

from pathlib import Path

import pytest

from detkit.data.live.address import Address, hide_credentials, is_address, is_camera, is_live_word


@pytest.mark.parametrize(
    ("word", "address", "live"),
    [
        ("0", False, True),
        ("12", False, True),
        ("100", False, False),
        ("²", False, False),
        ("-1", False, False),
        ("rtsp://host/1", True, True),
        ("RTSPS://host/1", True, True),
        ("http://host/a.jpg", True, False),
        ("https://host", True, False),
        ("ftp://host/a.mp4", False, False),
        ("file:///etc/passwd", False, False),
        ("photos/*.jpg", False, False),
        ("C:\\clips\\a.mp4", False, False),
        ("", False, False),
    ],
)
def test_words(word: str, address: bool, live: bool) -> None:
    assert (is_address(word), is_live_word(word)) == (address, live)


def test_a_file_with_the_name_of_a_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_camera("0")
    (tmp_path / "0").mkdir()
    assert not is_camera("0")


def test_credentials_are_used_but_not_shown() -> None:
    address = Address.parse("RTSP://admin:p%40ss%20word@cam.local:554/Streaming/Channels/101?x=1#part")
    assert (address.user, address.password) == ("admin", "p@ss word")
    assert address.url == "rtsp://cam.local:554/Streaming/Channels/101?x=1"
    assert address.name == "rtsp://***@cam.local:554/Streaming/Channels/101?x=1"
    assert address.with_credentials == "rtsp://admin:p%40ss%20word@cam.local:554/Streaming/Channels/101?x=1"
    assert "p@ss" not in repr(address)
    assert "admin" not in repr(address)
    assert hide_credentials("no route to http://a:b@c@host/x and rtsp://u@h") == "no route to http://***@host/x and rtsp://***@h"
    assert Address.parse("http://host/a@b").name == "http://host/a@b"


def test_an_address_is_quoted_once() -> None:
    assert Address.parse("http://host/my clip.mp4?a=b c&d=%20").url == "http://host/my%20clip.mp4?a=b%20c&d=%20"
    assert Address.parse("http://[::1]:8080/x").url == "http://[::1]:8080/x"


@pytest.mark.parametrize(
    ("word", "stem", "suffix"),
    [
        ("http://host/clips/Street%20one.MP4?token=1", "Street_one", ".mp4"),
        ("http://192.168.1.20:8080/", "192.168.1.20", ""),
        ("rtsp://host/../..", "host", ""),
        ("http://host/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "passwd", ""),
        ("http://host/?action=stream", "host", ""),
    ],
)
def test_names_of_files(word: str, stem: str, suffix: str) -> None:
    address = Address.parse(word)
    assert (address.stem, address.suffix) == (stem, suffix)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("http://", "the address has no host"),
        ("http:///path", "the address has no host"),
        ("http://host:port/", "not a valid address"),
        ("http://u:secret@host:99999/", r"http://\*\*\*@host:99999/: not a valid address"),
        ("file:///a.mp4", "expected an address that begins with http"),
    ],
)
def test_addresses_that_are_none(word: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Address.parse(word)
    assert "secret" not in str(caught.value)

from __future__ import annotations

from pathlib import Path

import pytest

from detkit.data.storage.addresses import Member, address_of, checked_address, is_address, is_stored, shown, stored_name

DIGEST = "0123456789abcdef" * 2


@pytest.mark.parametrize("address", ["s3://bucket/a/b.jpg", "gs://bucket/b.jpg", "http://host:80/b.jpg?key=1", "memory://b.jpg"])
def test_an_address_survives_a_path(address: str) -> None:
    assert address_of(address) == address_of(Path(address)) == checked_address(address) == address
    assert is_address(Path(address))
    assert is_stored(address)


@pytest.mark.parametrize(
    "path", ["data/a.jpg", "/data/a.jpg", "C:/data/a.jpg", "s3/bucket", "ftp://host/a.jpg", "file:///etc/passwd", "a#1.jpg"]
)
def test_other_words_are_no_addresses(path: str) -> None:
    assert address_of(path) is None
    assert not is_stored(path)
    assert stored_name(path) is None


@pytest.mark.parametrize("address", ["s3://bucket//a.jpg", "s3://bucket/./a.jpg", "s3://bucket/../a.jpg", "data/a.jpg"])
def test_an_address_that_a_path_would_change_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="expected an address"):
        checked_address(address)


@pytest.mark.parametrize("container", ["/data/train-000000.tar", "data/a#b.tar", "s3://bucket/shards/train-000000.tar"])
def test_a_member_survives_a_path(container: str) -> None:
    member = Member(container, 1536, 70, DIGEST, "street/a b#1.jpg")
    assert Member.parse(Path(str(member))) == Member.parse(str(member)) == member
    path = Path(str(member))
    assert (path.name, path.suffix, is_stored(path), stored_name(path)) == ("a b#1.jpg", ".jpg", True, "street/a b#1.jpg")


def test_credentials_and_signatures_are_not_shown() -> None:
    assert shown("https://me:secret@host/a.jpg?signature=abc") == "https://***@host/a.jpg"

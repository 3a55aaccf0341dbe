"""The rule that divides images into shards."""

from __future__ import annotations

import pytest

from detkit.bulk.shard import Shard, name_hash


def test_the_rule_never_changes() -> None:
    """Shards of one run are computed by many machines and versions: another rule would lose images."""
    assert name_hash("photos/a.jpg") == 2139537299237937902
    assert [name_hash(f"{n}.jpg") % 4 for n in range(8)] == [1, 3, 1, 1, 3, 3, 1, 2]
    assert name_hash("") == 4665148505410102986


@pytest.mark.parametrize("count", [1, 2, 7, 20])
def test_each_image_is_in_exactly_one_shard(count: int) -> None:
    shards = [Shard(index, count) for index in range(count)]
    names = [f"photos/{n}.jpg" for n in range(1000)]
    assert [sum(shard.has(name) for shard in shards) for name in names] == [1] * 1000
    sizes = [sum(shard.has(name) for name in names) for shard in shards]
    assert min(sizes) > 0.2 * 1000 / count
    assert max(sizes) < 2.5 * 1000 / count


def test_words() -> None:
    assert Shard.parse("3/4") == Shard(3, 4)
    assert str(Shard(3, 4)) == "3/4"
    assert Shard(3, 4).stem == "shard-00003-of-00004"
    assert sorted([Shard(10, 11), Shard(9, 11)]) == [Shard(9, 11), Shard(10, 11)]


@pytest.mark.parametrize("text", ["4/4", "1", "-1/4", "1/0", "1/", "a/b", "1/4 ", "¹/4", "1.0/4", "0/9999999999"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected I/N, shard I of N, such as 0/4 for the first of four and 3/4 for the last; got "):
        Shard.parse(text)
    with pytest.raises(ValueError, match="expected an index from 0 to 3 of 4 shards, got 4"):
        Shard(4, 4)

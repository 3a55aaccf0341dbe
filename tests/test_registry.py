from __future__ import annotations

import pytest

from detkit.registry import Registry, did_you_mean


def test_a_name_gives_what_it_points_at() -> None:
    table = Registry("function", "detkit.test", {"join": "os.path:join", "missing": "no_such_module:f"})
    assert table.names() == ("join", "missing")
    assert "join" in table
    assert table.get("join")("a", "b").endswith("b")


def test_an_unknown_name_suggests_the_nearest() -> None:
    table = Registry("backbone", "detkit.test", {"resnet18": "os:x", "resnet50": "os:y"})
    with pytest.raises(ValueError, match="unknown backbone 'resnet5O': did you mean 'resnet50'"):
        table.get("resnet5O")
    with pytest.raises(ValueError, match="expected one of: resnet18, resnet50"):
        table.get("zzz")


def test_nothing_known_suggests_nothing() -> None:
    assert did_you_mean("a", []) == ""


def test_names_that_are_equally_near_are_all_suggested() -> None:
    assert did_you_mean("cet", ["cat", "dog", "cut"]) == "did you mean 'cat' or 'cut'?"

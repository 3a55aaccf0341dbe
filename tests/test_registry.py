from __future__ import annotations

import pytest

from detkit.registry import Registry, did_you_mean


def test_get_imports_the_registered_object() -> None:
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


def test_no_suggestion_without_known_names() -> None:
    assert did_you_mean("a", []) == ""


def test_all_equally_near_names_are_suggested() -> None:
    assert did_you_mean("cet", ["cat", "dog", "cut"]) == "did you mean 'cat' or 'cut'?"

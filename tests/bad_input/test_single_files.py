"""Files of one kind each, damaged or impossible: label maps, tracks, weights, YAML and configs."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from detkit.cli import subjects
from detkit.data import SourceConfig
from detkit.data.readers import text as text_files
from detkit.data.readers.mask_images import read_values
from detkit.data.readers.text import read_yaml, written_texts
from detkit.evaluation.tracks.mot_files import read_truth
from detkit.experiment import Experiment
from detkit.weights.read import read_tensors


@pytest.mark.parametrize("names", ["[yes, 007, 12:30, 2024-01-01, '1', null]", "{0: on, 1: 1e3}"])
def test_both_loaders_of_yaml_read_the_same_names(names: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "data.yaml"
    file.write_text(f"train: images\nnames: {names}\n")

    def read() -> tuple[dict[str, Any], list[tuple[str, str | None]]]:
        content, node = read_yaml(file)
        return content, list(written_texts(node.value[1][1]))

    fast = read()
    monkeypatch.setattr(text_files, "_is_plain", lambda text: False)
    assert read() == fast


def test_deep_yaml_and_references_are_left_to_the_careful_loader(tmp_path: Path) -> None:
    assert text_files._is_plain("a: [1, 2]")
    assert not text_files._is_plain("a: " + "[" * 60 + "]" * 60)
    assert not text_files._is_plain("a: &x 1\nb: *x")
    assert not text_files._is_plain("a: [")
    (tmp_path / "data.yaml").write_text("names: " + "[" * 100_000)
    with pytest.raises(ValueError, match=r"data\.yaml: not readable YAML"):
        read_yaml(tmp_path / "data.yaml")


@pytest.mark.parametrize("content", ["cut", "bomb", "text"])
def test_a_label_map_that_cannot_be_decoded_is_named(content: str, tmp_path: Path) -> None:
    path, buffer = tmp_path / "mask.png", io.BytesIO()
    Image.fromarray(np.zeros((24, 32), np.uint8)).save(buffer, "PNG")
    data = buffer.getvalue()
    size = struct.pack(">II", 200_000, 200_000)
    header = b"IHDR" + size + data[24:29]
    bomb = data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
    path.write_bytes({"cut": data[:8] + struct.pack(">I", 5) + b"IHDR" + data[16:], "bomb": bomb, "text": b"not an image"}[content])
    with pytest.raises(ValueError, match=r"mask\.png: the mask image cannot be read"):
        read_values(path)


@pytest.mark.parametrize("line", ["999999999,1,1,2,8,9,1,1,1", "1,1,1,2,8,9,1,1e300,1", "1,1,1e308,1,1e308,9,1,1,1"])
def test_numbers_of_tracks_that_no_video_has_are_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text(line)
    with pytest.raises(ValueError, match=r"gt\.txt, line 1: expected"):
        read_truth(tmp_path / "gt.txt")


def test_weights_without_a_tensor_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz")
    save_file({}, tmp_path / "w.safetensors")
    for name in ("w.npz", "w.safetensors"):
        with pytest.raises(ValueError, match=f"{name}: expected named tensors, got none"):
            read_tensors(tmp_path / name)


def test_a_config_with_half_a_character_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="config: expected texts that UTF-8 can hold"):
        SourceConfig(path="\ud800").to_json()


def test_long_json_is_taken_for_labels_without_parsing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.json"
    config.write_text(Experiment().to_json())
    assert subjects.is_experiment(config)
    monkeypatch.setattr(subjects, "_MOST_CONFIG_BYTES", 100)
    monkeypatch.setattr(subjects, "parse_json", lambda text, name: pytest.fail("parsed"))
    assert not subjects.is_experiment(config)

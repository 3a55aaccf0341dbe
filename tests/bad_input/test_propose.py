from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from detkit.backbones import BackboneConfig
from detkit.cli.main import main
from detkit.inference import Predictor
from detkit.inference.proposals import RPNProposals, build_proposer
from detkit.models.fcos import FCOSConfig
from detkit.preprocess import PreprocessConfig
from detkit.proposals import ProposalsConfig


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing.jpg"], "no such image: nothing.jpg"),
        (["a.png", "--recall"], "--recall needs labeled data; give --data PATH instead of a.png"),
        (["a.png", "--split", "val"], "--split needs labeled data; give --data PATH instead of a.png"),
        (["a.png", "--images", "photos"], "--images needs labeled data; give --data PATH instead of a.png"),
        (["a.png", "--json", "numbers.json"], "--json writes the results of --recall; give that flag too"),
        (["a.png", "--output", "out.txt"], "--output out.txt: expected a file ending in .json or .npz"),
        (["a.png", "--backend", "detki"], "unknown proposal backend 'detki': did you mean 'detkit'?"),
        (["a.png", "--backend", "gone.safetensors"], "checkpoint gone.safetensors: no such file"),
        (["a.png", "--max-proposals", "0"], "--max-proposals: expected a whole number of 1 or more, got '0'"),
        (["a.png", "--max-aspect", "0.5"], "max_aspect: expected greater than or equal to 1, got 0.5"),
        (["a.png", "--min-area", "-1"], "min_area: expected greater than or equal to 0, got -1"),
        (["a.png", "--processes", "0"], "--processes: expected a whole number of 1 or more, got '0'"),
        (["a.png", "--cache", "a.png"], "proposal cache a.png: expected a folder, got a file"),
        (["a.png", "--cache", "kept", "--cache-megabytes", "0"], "cache_megabytes: expected greater than 0, got 0"),
    ],
)
def test_error_messages(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("a.png")
    try:
        status = main(["propose", *words])
    except SystemExit as stop:  # errors in the values of flags
        status = stop.code
    assert status == 2
    error = capsys.readouterr().err
    assert error.startswith("detkit: error: ")
    assert message in error
    assert error.count("\n") == 1


def test_detector_without_proposals() -> None:
    torch.manual_seed(0)
    detector = FCOSConfig(backbone=BackboneConfig(name="resnet18", weights=None, levels=("c3", "c4", "c5"))).build(2)
    predictor = Predictor(detector, PreprocessConfig(short_side=64, long_side=96), ("cat", "dog"), "cpu", reference=True)
    with pytest.raises(ValueError, match="OneStage has no region proposal network; use a checkpoint of Faster R-CNN"):
        RPNProposals(predictor)


def test_name_that_is_neither_backend_nor_file() -> None:
    with pytest.raises(ValueError, match=re.escape("unknown proposal backend 'opencv2': did you mean 'opencv'?")):
        build_proposer(ProposalsConfig(backend="opencv2"))

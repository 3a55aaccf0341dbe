"""RT-DETR, RT-DETRv2 and D-FINE loaded from the layout of the original repositories, whose names and outputs are frozen in ``fixtures``."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from seeded_weights import seeded_weights
from skimage import data
from torch import Tensor
from torch.testing import assert_close

from detkit.models.loading.checkpoints import COUNTER
from detkit.models.published import load_published, publication

FIXTURES = Path(__file__).parent / "fixtures"
NAMES: dict[str, dict[str, list[int]]] = json.loads(gzip.decompress((FIXTURES / "original_names.json.gz").read_bytes()))
CONSTANTS = {"up": 0.5, "reg_scale": 4.0}
SMALL = ("dfine_n", "rtdetr_r18", "rtdetr_v2_r18")
SLOW = ("rtdetr_r18", "rtdetr_v2_r18")


def weights(model: str) -> dict[str, Tensor]:
    """Seeded weights under the original names; the two constants of D-FINE are there twice."""
    tensors = seeded_weights(NAMES[model])
    for name in tensors:
        part = name.rpartition(".")[2]
        if part in CONSTANTS:
            tensors[name] = torch.tensor([CONSTANTS[part]])
    return tensors


@pytest.mark.oracle(
    "original code of D-FINE and RT-DETR",
    "names and shapes of all tensors of the released files",
    tolerance="equal",
    version="as in libreyolo 1.6.0, outputs frozen",
    tensors="cases",
)
@pytest.mark.parametrize("model", [name if name in SMALL else pytest.param(name, marks=pytest.mark.slow) for name in NAMES])
def test_every_tensor_has_its_place(model: str) -> None:
    source = publication(model)
    with torch.device("meta"):
        expected = {name: tensor.shape for name, tensor in source.config.build(80).state_dict().items() if not name.endswith(COUNTER)}
    # Other tensors than the constants, which are compared, need no values.
    tensors = {
        name: torch.zeros(shape, device="cpu" if name.endswith(tuple(CONSTANTS)) else "meta") for name, shape in NAMES[model].items()
    }
    converted = {name: tensor.shape for name, tensor in source.convert(tensors).items() if not name.endswith(COUNTER)}
    assert converted == expected


@pytest.mark.oracle(
    "original code of D-FINE and RT-DETR",
    "logits and boxes of D-FINE, RT-DETR and RT-DETRv2",
    tolerance="logits 3e-4, boxes 1e-4",
    version="as in libreyolo 1.6.0, outputs frozen",
    models="cases",
)
@pytest.mark.parametrize("model", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in ("dfine_n", *SLOW)])
@torch.no_grad()
def test_outputs_equal_the_original_ones(model: str, tmp_path: Path) -> None:
    file = tmp_path / "original.pth"
    tensors = weights(model)
    torch.save({"model": tensors} if model.startswith("dfine") else {"ema": {"module": tensors}, "last_epoch": 71}, file)
    detector = load_published(model, file).detector
    file.unlink()
    frozen = np.load(FIXTURES / "original_outputs.npz")
    side = 288 if model == "dfine_n" else 160
    image = torch.from_numpy(data.astronaut()[:side, 100 : 100 + side].copy()).permute(2, 0, 1).float() / 255
    logits, boxes, *_ = detector.raw(detector.prepare([image]))
    expected_logits, expected_boxes = (torch.from_numpy(frozen[f"{model}/{part}"]) for part in ("logits", "boxes"))
    count = len(expected_logits)
    assert float(expected_logits.std()) > 0.5
    assert float(expected_boxes[:, :2].std(0).min()) > 0.1
    # Processors sum in another order: with AVX-512, D-FINE-N's logits, of up to 10, differ by 1.7e-4 from the frozen ones.
    assert_close(logits[0, :count, -1], expected_logits, atol=3e-4, rtol=0)
    assert_close(boxes[0, :count, -1] / side, expected_boxes, atol=1e-4, rtol=0)


def test_different_copies_of_one_parameter_are_an_error(tmp_path: Path) -> None:
    file = tmp_path / "damaged.pth"
    torch.save(weights("dfine_n") | {"decoder.decoder.up": torch.tensor([0.7])}, file)
    with pytest.raises(ValueError, match=r"damaged.pth: not dfine_n: expected equal tensors for head.up, of which decoder.*up is a copy"):
        load_published("dfine_n", file)


def test_another_size_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "n.pth"
    torch.save(weights("dfine_n"), file)
    with pytest.raises(ValueError, match=r"n.pth: not dfine_s: \d+ tensors missing"):
        load_published("dfine_s", file)

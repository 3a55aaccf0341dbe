"""Files of proposals: every file name is read back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from torch import tensor

from detkit.cli.propose.report import write_proposals
from detkit.proposals import ProposalResult
from detkit.structures import Proposals

NAMES = ("plain.png", "a\nb.png", "\x1b[2J.png", "ünï.png", os.fsdecode(b"latin\xe9.png"))


@pytest.mark.parametrize("ending", [".json", ".npz"])
def test_every_name_is_read_back(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"proposals{ending}"
    result = ProposalResult(Proposals(tensor([[1.0, 2, 30, 40]]), tensor([0.5])), (60, 80), 0.1, False)
    write_proposals(str(file), [(Path(name), result) for name in NAMES], {})
    if ending == ".json":
        images = json.loads(file.read_bytes())["images"]
        assert [entry["file"] for entry in images] == list(NAMES)
        assert os.fsencode(images[-1]["file"]) == b"latin\xe9.png"
    else:
        with np.load(file) as arrays:
            assert arrays["files"].tolist() == list(NAMES)
            assert arrays["boxes"].shape == (len(NAMES), 4)

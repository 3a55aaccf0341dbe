"""Proposals of a trained detector's first stage, as a source like any other."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from detkit.heads.rpn import RPN
from detkit.inference.loading import checkpoint_path, load
from detkit.inference.predictor import Predictor
from detkit.proposals import BACKENDS, ProposalsConfig, Proposer
from detkit.structures import Detections, Proposals

Image = NDArray[np.uint8]


def build_proposer(config: ProposalsConfig, device: str | torch.device = "cpu") -> Proposer:
    """A proposer of any backend: a named one, or a checkpoint with a region proposal network.

    Args:
        config: Which, and what is kept of its proposals.
        device: Where a network runs; the named ones search on the CPU. A data loader's processes cannot share a GPU with the training
            that started them, so training leaves it at the CPU.

    Raises:
        ValueError: there is no such backend, or the checkpoint's detector proposes nothing.
        FileNotFoundError: there is no such checkpoint.
        ImportError: the backend needs a package that is not here.
    """
    if config.backend in BACKENDS:
        return config.build()
    if checkpoint_path(config.backend) is None and not config.backend.endswith(".safetensors"):
        return config.build()  # tells which names there are
    return config.build(RPNProposals(load(config.backend, device, precision="fp32")))


class RPNProposals:
    """The first stage of a Faster R-CNN as a :class:`detkit.proposals.Backend`; how many it gives is in the detector's own config.

    Args:
        predictor: Of such a detector; of two with the same weights and numbers the results are remembered as one.

    Raises:
        ValueError: the detector has no region proposal network.
    """

    def __init__(self, predictor: Predictor) -> None:
        if not isinstance(getattr(predictor.detector, "rpn", None), RPN):
            raise ValueError(
                f"proposal backend: {type(predictor.detector).__name__} has no region proposal network; give a checkpoint of Faster R-CNN"
            )
        self._predictor = predictor

    @cached_property
    def version(self) -> str:
        """A hash of the weights, the numbers of the network, and how images are resized for it."""
        detector: Any = self._predictor.detector
        digest = hashlib.sha256(f"{detector.rpn.config} {self._predictor.preprocess.to_json()} {self._predictor.precision}".encode())
        for name, tensor in detector.state_dict().items():
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return f"rpn {digest.hexdigest()}"

    def __call__(self, image: Image, config: ProposalsConfig, threads: int | None = None) -> Proposals:
        """See :class:`detkit.proposals.Backend`."""
        prepared = self._predictor.prepare(image)
        with self._predictor.running() as running:
            detector: Any = running
            batch = detector.prepare([prepared.image])
            logits, deltas, *maps = detector.raw(batch)
            (found,) = detector.rpn.propose(logits, deltas, detector.rpn.anchors_on(maps, batch), batch, training=False)
        rows = Detections(found.boxes, found.scores, torch.zeros(len(found), dtype=torch.int64, device=found.device))
        restored = prepared.restore(rows).to("cpu")
        return Proposals(restored.boxes, restored.scores)

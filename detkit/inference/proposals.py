"""Proposal backend that uses the region proposal network of a trained detector."""

from __future__ import annotations

import hashlib
from functools import cached_property

import torch

from detkit.arrays import ImageArray
from detkit.inference.detectors import load_detector
from detkit.inference.predictor import Predictor
from detkit.inference.sources import checkpoint_path
from detkit.models.faster_rcnn import FasterRCNN
from detkit.proposals import BACKENDS, ProposalsConfig, Proposer
from detkit.proposals.backends import SearchSettings
from detkit.structures import Detections, Proposals


def build_proposer(config: ProposalsConfig, device: str | torch.device = "cpu") -> Proposer:
    """Build a proposer with any backend: a named one, or a checkpoint with a region proposal network.

    Args:
        config: Backend, filters and cache of the proposals.
        device: Device of a region proposal network; named backends run on the CPU. Training uses the CPU, because the worker processes
            of a data loader cannot share the GPU of the training process.

    Raises:
        ValueError: If the backend does not exist, or the detector of the checkpoint has no region proposal network.
        FileNotFoundError: If the checkpoint does not exist.
        ImportError: If the backend needs a package that is not installed.
    """
    if config.backend in BACKENDS:
        return config.build()
    if checkpoint_path(config.backend) is None and not config.backend.endswith(".safetensors"):
        return config.build()  # raises an error that lists the names
    loaded = load_detector(config.backend)
    predictor = Predictor(loaded.detector, loaded.config.preprocess, loaded.class_names, device, "fp32")
    return config.build(RPNProposals(predictor))


class RPNProposals:
    """The region proposal network of a Faster R-CNN as a :class:`detkit.proposals.Backend`.

    The number of proposals is set in the config of the detector.

    Args:
        predictor: Predictor of the detector; predictors with equal weights and settings share their cached proposals.

    Raises:
        ValueError: If the detector has no region proposal network.
    """

    def __init__(self, predictor: Predictor) -> None:
        if not isinstance(predictor.detector, FasterRCNN):
            raise ValueError(
                f"proposal backend: {type(predictor.detector).__name__} has no region proposal network; use a checkpoint of Faster R-CNN"
            )
        self._predictor, self._detector = predictor, predictor.detector

    @cached_property
    def version(self) -> str:
        """Hash of the weights, the config of the network, and the preprocessing."""
        detector = self._detector
        digest = hashlib.sha256(f"{detector.rpn.config} {self._predictor.preprocess.to_json()} {self._predictor.precision}".encode())
        for name, tensor in detector.state_dict().items():
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return f"rpn {digest.hexdigest()}"

    def __call__(self, image: ImageArray, settings: SearchSettings, threads: int | None = None) -> Proposals:
        """See :class:`detkit.proposals.Backend`."""
        prepared = self._predictor.prepare(image)
        with self._predictor.running():
            batch = self._detector.prepare([prepared.image])
            (proposals,) = self._detector.propose(self._detector.raw(batch), batch, training=False)
        rows = Detections(proposals.boxes, proposals.scores, torch.zeros(len(proposals), dtype=torch.int64, device=proposals.device))
        restored = prepared.restore(rows).to("cpu")
        return Proposals(restored.boxes, restored.scores)

"""Training of the two stages of a detector in turn, as in the 4-step training of Faster R-CNN (arXiv:1506.01497, section 3.2)."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from detkit.checkpoint import load_checkpoint, save_checkpoint
from detkit.models.checks import check_images, check_targets
from detkit.models.faster_rcnn import FasterRCNN
from detkit.ops.match import extend_regions
from detkit.structures import Proposals, Targets
from detkit.training.optim.precision import use_channels_last
from detkit.training.run import Run

_log = logging.getLogger(__name__)

Part = Literal["all", "rpn", "region"]
ProposalsFrom = Literal["current", "start_of_stage"]


class PartLosses(nn.Module):
    """Losses of one part of a two-stage detector.

    Args:
        detector: The detector.
        part: The part that is trained.
        proposer: Detector that supplies the proposals instead of ``detector``. It is not trained and is not a submodule of this module.
    """

    def __init__(self, detector: FasterRCNN, part: Part, proposer: FasterRCNN | None = None) -> None:
        super().__init__()
        self.detector, self._part = detector, part
        self._proposers: tuple[FasterRCNN, ...] = () if proposer is None else (proposer,)

    def forward(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Targets],
        proposals: Sequence[Proposals] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> dict[str, Tensor]:
        """Return the losses of :meth:`FasterRCNN.loss` that belong to the part."""
        check_images(images)
        check_targets(targets, len(images), self.detector.num_classes)
        batch = self.detector.prepare(images, torch.randint(2**62, (len(images),)).tolist() if seeds is None else seeds)
        targets = extend_regions(targets, batch.sizes)
        raw = self.detector.raw(batch, targets=targets)
        losses: dict[str, Tensor] = {}
        if self._part != "region":
            losses |= self.detector.rpn_loss(raw, batch, targets)
        if self._part != "rpn":
            with torch.no_grad():
                given = [proposer.propose(proposer.raw(batch), batch, training=True) for proposer in self._proposers]
            losses |= self.detector.region_loss(raw, batch, targets, given[0] if given else None)
        return losses


@contextmanager
def train_part(run: Run, stage: str, part: Part, proposals_from: ProposalsFrom, *, from_start: bool) -> Iterator[None]:
    """Train only one part of the run's detector inside the block.

    Args:
        run: The run.
        stage: Name of the stage, for messages.
        part: The part that is trained.
        proposals_from: Whether the proposals come from the current detector or from a copy made at the start of the stage.
        from_start: Whether the detector is as it was before the stage. If not, the run was interrupted within the stage, and its folder
            holds the copy of that detector.

    Raises:
        ValueError: If the detector is not a two-stage detector, or has a teacher.
    """
    if part == "all" and proposals_from == "current":
        yield
        return
    keys = f"trains={part} proposals_from={proposals_from}"
    if not isinstance(run.detector, FasterRCNN):
        raise ValueError(f"stage {stage}: {keys}: expected a two-stage detector (faster_rcnn), got {type(run.detector).__name__}")
    if run.distilled is not None:
        raise ValueError(f"stage {stage}: {keys} cannot be combined with a teacher; remove distillation")
    copy_path = run.folder.path / "proposals_from.safetensors"
    proposer = _detector_before_stage(run, run.detector, copy_path, from_start) if proposals_from == "start_of_stage" else None
    run.loss_module = PartLosses(run.detector, part, proposer)
    try:
        yield
    finally:
        run.loss_module = None
    if run.signals.received is None and run.processes.first:
        copy_path.unlink(missing_ok=True)


def _detector_before_stage(run: Run, detector: FasterRCNN, copy_path: Path, from_start: bool) -> FasterRCNN:
    """Return a copy of the detector as it was when the stage began."""
    proposer = copy.deepcopy(detector).eval().requires_grad_(False)
    # Training may have changed the memory format of the detector. A fixed format makes an uninterrupted and a resumed run round equally.
    use_channels_last(proposer)
    if not from_start:
        proposer.load_state_dict(load_checkpoint(copy_path, run.device).tensors)
    elif run.processes.first:
        save_checkpoint(copy_path, proposer.state_dict(), dict(run.header))
    return proposer

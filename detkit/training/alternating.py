"""Parts of a two-stage detector that learn in turn, as in the 4-step training of Faster R-CNN (arXiv:1506.01497, section 3.2)."""

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
from detkit.structures import Proposals, Targets
from detkit.training.run import Run

log = logging.getLogger("detkit.training")

Part = Literal["all", "rpn", "region"]
ProposalsFrom = Literal["current", "start_of_stage"]


class PartOfTwo(nn.Module):
    """Gives the losses of one stage of a two-stage detector.

    Args:
        detector: The detector.
        part: The stage that learns.
        teller: Says where to look in the detector's place; it does not learn and is no part of this module.
    """

    def __init__(self, detector: FasterRCNN, part: Part, teller: FasterRCNN | None = None) -> None:
        super().__init__()
        self.detector, self._part = detector, part
        self._teller: tuple[FasterRCNN, ...] = () if teller is None else (teller,)

    def forward(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Targets],
        proposals: Sequence[Proposals] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> dict[str, Tensor]:
        """The losses that :meth:`FasterRCNN.loss` gives for the stage."""
        check_images(images)
        check_targets(targets, len(images), self.detector.num_classes)
        batch = self.detector.prepare(images, torch.randint(2**62, (len(images),)).tolist() if seeds is None else seeds)
        raw = self.detector.raw(batch)
        losses: dict[str, Tensor] = {}
        if self._part != "region":
            losses |= self.detector.rpn_loss(raw, batch, targets)
        if self._part != "rpn":
            with torch.no_grad():
                told = [teller.proposed(teller.raw(batch), batch, training=True) for teller in self._teller]
            losses |= self.detector.region_loss(raw, batch, targets, told[0] if told else None)
        return losses


@contextmanager
def train_part(run: Run, stage: str, part: Part, proposals_from: ProposalsFrom, *, begins: bool) -> Iterator[None]:
    """Within it, one part of a run's detector learns alone, and is told where to look by itself or by the detector of before.

    Args:
        run: The run.
        stage: The stage's name, for messages.
        part: What learns.
        proposals_from: Who says where to look.
        begins: Whether the detector is as it was before the stage; else the run was cut within it, and its folder has that detector.

    Raises:
        ValueError: the detector has not two stages, or has a teacher.
    """
    if part == "all" and proposals_from == "current":
        yield
        return
    if not isinstance(run.detector, FasterRCNN):
        raise ValueError(
            f"stage {stage}: trains={part} proposals_from={proposals_from} is for two stages, those of faster_rcnn; got {type(run.detector).__name__}"
        )
    if run.distilled is not None:
        raise ValueError(f"stage {stage}: trains={part} proposals_from={proposals_from} does not go with a teacher; leave out distillation")
    kept = run.folder.path / "proposals_from.safetensors"
    teller = _of_before(run, run.detector, kept, begins) if proposals_from == "start_of_stage" else None
    run.learner = PartOfTwo(run.detector, part, teller)
    try:
        yield
    finally:
        run.learner = None
    if run.signals.received is None and run.processes.first:
        kept.unlink(missing_ok=True)


def _of_before(run: Run, detector: FasterRCNN, kept: Path, begins: bool) -> FasterRCNN:
    """A copy of the detector as it was when the stage began."""
    teller = copy.deepcopy(detector).eval().requires_grad_(False)
    # In one order whether the run was cut or not, or it would round otherwise: training may have put the detector into this one.
    teller.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if not begins:
        teller.load_state_dict(load_checkpoint(kept, run.device).tensors)
    elif run.processes.first:
        save_checkpoint(kept, teller.state_dict(), dict(run.header))
    return teller


@contextmanager
def frozen(model: nn.Module, stage: str, prefixes: Sequence[str]) -> Iterator[None]:
    """Within it, parameters whose names begin with one of the prefixes do not learn, and norms among them keep their statistics.

    Raises:
        ValueError: a prefix names nothing.
    """
    chosen = [parameter for prefix in prefixes for parameter in _named(model, stage, "frozen", prefix) if parameter.requires_grad]
    for parameter in chosen:
        parameter.requires_grad_(False)
    inside = [module for name, module in model.named_modules() if prefixes and name.startswith(tuple(prefixes))]
    norms = [module for module in inside if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    hooks = [norm.register_forward_pre_hook(_in_evaluation) for norm in norms]  # whatever mode the whole is put into
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for parameter in chosen:
            parameter.requires_grad_(True)


def _in_evaluation(module: nn.Module, _: object) -> None:
    module.eval()


def reset_parts(run: Run, stage: str, prefixes: Sequence[str]) -> None:
    """Give the parameters and buffers whose names begin with one of the prefixes the values that the run began with.

    Raises:
        ValueError: a prefix names nothing.
    """
    if not prefixes:
        return
    if run.fresh is None:
        raise ValueError(f"stage {stage}: anew={','.join(prefixes)}: nobody knows what the run began with")
    for prefix in prefixes:
        _named(run.detector, stage, "anew", prefix)
    state = {name: value for name, value in run.fresh().items() if name.startswith(tuple(prefixes))}
    run.detector.load_state_dict(state, strict=False)
    log.info("anew: %s", ", ".join(prefixes))


def _named(model: nn.Module, stage: str, key: str, prefix: str) -> list[nn.Parameter]:
    found = [parameter for name, parameter in model.named_parameters() if name.startswith(prefix)]
    if not found:
        raise ValueError(f"stage {stage}: {key}: no parameter's name begins with {prefix!r}")
    return found

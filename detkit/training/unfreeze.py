"""Gradual unfreezing: the backbone's frozen stages begin to learn one after another, those near the head first."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from detkit.backbones import Backbone
from detkit.training.optimizer import innermost_backbone

log = logging.getLogger("detkit.training")


class Unfreezing:
    """Lets one more of a backbone's frozen stages, the last of them, learn from each of some shares of a training on.

    Args:
        model: Has the backbone, with its stages frozen as the config says.
        shares: Of the training, rising; the same one twice lets two stages learn at once.

    Raises:
        ValueError: it has no backbone with stages, or fewer frozen stages than shares, or parts that are frozen otherwise.
    """

    def __init__(self, model: nn.Module, shares: Sequence[float]) -> None:
        backbone = innermost_backbone(model)
        if not isinstance(backbone, Backbone):
            raise ValueError(f"training.unfreeze: {type(model).__name__} has no backbone with stages; set training.unfreeze=()")
        self.backbone, self.shares, self._begin = backbone, tuple(shares), backbone.frozen_stages
        if len(self.shares) > self._begin:
            raise ValueError(
                f"training.unfreeze: {len(self.shares)} shares of the training, and {self._begin} of {len(backbone.stages())} stages of "
                f"{backbone.name} are frozen; expected no more shares than these: set model.backbone.frozen_stages"
            )
        if not all(parameter.requires_grad for stage in backbone.stages()[self._begin :] for parameter in stage.parameters()):
            raise ValueError("training.unfreeze: parts of the backbone are frozen by the stage's `frozen`, too; leave one of the two out")
        told = ", ".join(f"{100 * share:g} %" for share in self.shares)
        log.info("gradual unfreezing: one more stage of %s learns from %s of the training on", backbone.name, told)

    @property
    def frozen(self) -> int:
        """How many stages are frozen now."""
        return self.backbone.frozen_stages

    @contextmanager
    def all_learn(self) -> Iterator[None]:
        """Everything that will ever learn does so inside, so that an optimizer knows of it; what has no gradient it does not move."""
        now = self.frozen
        self.backbone.freeze(self._begin - len(self.shares))
        try:
            yield
        finally:
            self.backbone.freeze(now)

    def update(self, progress: float) -> bool:
        """Unfreeze what is due after a share of the training, and say so; gives whether anything changed."""
        due = self._begin - sum(progress >= share for share in self.shares)
        if due >= self.frozen:  # a limit that was raised makes the share smaller; what learns goes on
            return False
        self.backbone.freeze(due)
        log.info("%.0f %% of the training: backbone %s: %s", 100 * progress, self.backbone.name, self.backbone.frozen_spoken())
        return True

    def restore(self, frozen: int) -> None:
        """Go on with so many frozen stages."""
        self.backbone.freeze(frozen)
        log.info("backbone %s: %s", self.backbone.name, self.backbone.frozen_spoken())

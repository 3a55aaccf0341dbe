"""Gradual unfreezing: the frozen stages of the backbone are unfrozen one after another, those near the head first."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from detkit.backbones import Backbone
from detkit.training.optim.optimizer import innermost_backbone

_log = logging.getLogger(__name__)


class Unfreezing:
    """Unfreezes one more of a backbone's frozen stages, starting with the last, at each of some fractions of the training.

    Args:
        model: The model, whose backbone has its stages frozen as the config says.
        fractions: Fractions of the training in ascending order; a repeated one unfreezes two stages at once.

    Raises:
        ValueError: If the model has no backbone with stages, there are more fractions than frozen stages, or other parts of the backbone
            are frozen.
    """

    def __init__(self, model: nn.Module, fractions: Sequence[float]) -> None:
        backbone = innermost_backbone(model)
        if not isinstance(backbone, Backbone):
            raise ValueError(f"training.unfreeze: {type(model).__name__} has no backbone with stages; set training.unfreeze=()")
        self.backbone, self.fractions, self._initially_frozen = backbone, tuple(fractions), backbone.frozen_stages
        if len(self.fractions) > self._initially_frozen:
            raise ValueError(
                f"training.unfreeze: expected at most {self._initially_frozen} values, as {self._initially_frozen} of "
                f"{len(backbone.stages())} stages of {backbone.name} are frozen, got {len(self.fractions)}; raise "
                "model.backbone.frozen_stages, or remove values"
            )
        trainable = [p.requires_grad for stage in backbone.stages()[self._initially_frozen :] for p in stage.parameters()]
        if not all(trainable):
            raise ValueError("training.unfreeze: the stage's `frozen` also freezes parts of the backbone; use only one of the two")
        listed = ", ".join(f"{100 * fraction:g} %" for fraction in self.fractions)
        _log.info("gradual unfreezing: one more stage of %s is unfrozen at %s of the training", backbone.name, listed)

    @property
    def frozen(self) -> int:
        """Number of currently frozen stages."""
        return self.backbone.frozen_stages

    @contextmanager
    def all_trainable(self) -> Iterator[None]:
        """Unfreeze everything that will be trained later inside the block, so that an optimizer built in it includes these parameters.

        It does not move them while they have no gradient.
        """
        now = self.frozen
        self.backbone.freeze(self._initially_frozen - len(self.fractions))
        try:
            yield
        finally:
            self.backbone.freeze(now)

    def update(self, progress: float) -> bool:
        """Unfreeze and log the stages that are due at a fraction of the training; return whether anything changed."""
        due = self._initially_frozen - sum(progress >= fraction for fraction in self.fractions)
        if due >= self.frozen:  # a raised limit makes the fraction smaller; unfrozen stages stay unfrozen
            return False
        self.backbone.freeze(due)
        _log.info("%.0f %% of the training: backbone %s: %s", 100 * progress, self.backbone.name, self.backbone.frozen_summary())
        return True

    def restore(self, frozen: int) -> None:
        """Resume with ``frozen`` frozen stages."""
        self.backbone.freeze(frozen)
        _log.info("backbone %s: %s", self.backbone.name, self.backbone.frozen_summary())

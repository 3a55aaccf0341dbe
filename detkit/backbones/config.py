"""Which backbone a detector stands on, and how much of it learns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from detkit.backbones.facts import FACTS, facts_of
from detkit.backbones.table import BACKBONES
from detkit.config import Config
from detkit.registry import did_you_mean

if TYPE_CHECKING:
    from detkit.backbones.backbone import Backbone


class BackboneConfig(Config):
    """Which backbone a detector stands on, and how much of it learns; ``detkit info backbones`` lists them."""

    shorthand: ClassVar[str | None] = "name"

    name: str = "resnet50"
    """A name out of ``detkit info backbones``."""
    weights: str | None = "default"
    """``default``: its ImageNet weights; a name out of ``detkit weights``; a ``.pth`` or ``.safetensors`` file; none: from scratch."""
    frozen_stages: Literal["auto"] | int = "auto"
    """How many stages do not learn, counted from the stem, which is stage 1; ``auto``: 2 with weights, 0 from scratch."""
    norm: Literal["auto", "frozen", "train", "sync", "group"] = "auto"
    """Batch norms: ``frozen`` at the weights' statistics, ``train``, ``sync`` (train on the statistics of all processes' images, on GPUs),
    or a ``group`` norm in the place of each; ``auto``: frozen with weights, train from scratch."""
    norm_eps: float | None = Field(default=None, ge=0)
    """Eps of every norm; none: the architecture's own. torchvision's detectors were published for 0 (ResNet) and 1e-5 (MobileNet)."""
    dilated_c5: bool = False
    """Take the stride out of the last stage and spread its 3x3 kernels instead, so that ``c5`` has stride 16 (DC5); for ResNets."""
    window: int | None = Field(default=None, ge=1)
    """For plain vision transformers: the side, in patches, of the windows that attention stays in, but for four blocks (ViTDet: 14); none:
    every block sees the whole map. Images of 800 pixels have 50 patches a side."""
    levels: tuple[str, ...] | None = None
    """Which maps are used, by name (``c2`` has stride 4, ``c5`` 32); none: the backbone's usual ones."""

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in BACKBONES:
            raise ValueError(f"unknown backbone {name!r}: {did_you_mean(name, BACKBONES.names())}")
        return name

    @field_validator("frozen_stages")
    @classmethod
    def _not_negative(cls, stages: str | int) -> str | int:
        if isinstance(stages, int) and stages < 0:
            raise ValueError(f"expected auto, or 0 and more, got {stages}")
        return stages

    @property
    def stages_to_freeze(self) -> int:
        """The number of frozen stages, ``auto`` worked out."""
        if self.frozen_stages == "auto":
            return 0 if self.weights is None else 2
        return self.frozen_stages

    @property
    def norm_policy(self) -> Literal["frozen", "train", "sync", "group"]:
        """What the norms do, ``auto`` worked out."""
        if self.norm == "auto":
            return "train" if self.weights is None else "frozen"
        return self.norm

    def build(self) -> Backbone:
        """The architecture with random numbers and its stages frozen; :func:`detkit.backbones.load_backbone_weights` fills it.

        Raises:
            ValueError: it has no such level, or not as many stages, or its last stage cannot be dilated, or it has no use for windows.
        """
        choices: dict[str, Any] = {}
        if self.dilated_c5:
            choices["dilated_c5"] = self._for_some("dilated_c5", "dilates", "false")
        if self.window is not None:
            choices["window"] = self._for_some("window", "is_plain_transformer", "none")
        backbone: Backbone = BACKBONES.get(self.name)(levels=self.levels, norm=self.norm_policy, norm_eps=self.norm_eps, **choices)
        backbone.freeze(self.stages_to_freeze)
        return backbone

    def _for_some(self, option: str, fact: str, off: str) -> Any:
        """What is chosen for an option that only architectures with this fact have."""
        if not getattr(facts_of(self.name), fact):
            able = ", ".join(name for name, facts in FACTS.items() if getattr(facts, fact))
            raise ValueError(f"backbone {self.name}: {option} is for {able}; choose one of them, or set model.backbone.{option}={off}")
        return getattr(self, option)

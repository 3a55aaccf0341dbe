"""The configuration of a backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from detkit.backbones.registry import BACKBONE_INFO, BACKBONES, backbone_info
from detkit.config import Config
from detkit.registry import did_you_mean

if TYPE_CHECKING:
    from detkit.backbones.backbone import Backbone


class BackboneConfig(Config):
    """A backbone and how much of it is trained; ``detkit models list --kind backbone`` lists the backbones."""

    shorthand: ClassVar[str | None] = "name"

    name: str = "resnet50"
    """Name of the backbone, one of ``detkit models list --kind backbone``."""
    weights: str | None = "default"
    """``default``: its ImageNet weights; a name in the weights column of ``detkit models list --kind backbone``; a ``.pth`` or
    ``.safetensors`` file; none: from scratch."""
    frozen_stages: Literal["auto"] | int = "auto"
    """Number of frozen stages, counted from the stem, which is stage 1; ``auto``: 2 with weights, 0 from scratch."""
    norm: Literal["auto", "frozen", "train", "sync", "group"] = "auto"
    """Batch norms: ``frozen`` at the statistics of the weights, ``train``, ``sync`` (train with statistics over all processes, on GPUs), or
    ``group`` (each replaced by a group norm); ``auto``: frozen with weights, train from scratch."""
    norm_eps: float | None = Field(default=None, ge=0)
    """Eps of every norm; none: that of the architecture. torchvision's published detectors use 0 (ResNet) and 1e-5 (MobileNet)."""
    dilated_c5: bool = False
    """Dilate the last stage instead of striding it, so that ``c5`` has stride 16 (DC5); for ResNets only."""
    dilated_c4: bool = False
    """Dilate the stage before the last one too, so that ``c4`` and, with ``dilated_c5``, ``c5`` have stride 8; for ResNets only."""
    window: int | None = Field(default=None, ge=1)
    """For plain vision transformers: side, in patches, of the attention windows of all but four blocks (ViTDet: 14); none: attention is
    global in every block. An image of 800 pixels has 50 patches per side."""
    grayscale: bool = False
    """Whether the network sees one channel, the luma of color images; published weights of its first convolution are summed over the
    colors. LeNet-5 always sees one."""
    normalization: Literal["weights", "none"] = "weights"
    """Normalization of the images: ``weights``, by the mean and standard deviation of the backbone's published weights, or ``none``: the
    network sees RGB values in [0, 1], as in RT-DETR and D-FINE."""
    levels: tuple[str, ...] | None = None
    """Names of the feature maps to use (``c2`` has stride 4, ``c5`` 32); none: the backbone's default levels."""

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if name not in BACKBONES:
            raise ValueError(f"unknown backbone {name!r}: {did_you_mean(name, BACKBONES.names())}")
        return name

    @field_validator("frozen_stages")
    @classmethod
    def _check_frozen_stages(cls, stages: str | int) -> str | int:
        if isinstance(stages, int) and stages < 0:
            raise ValueError(f"expected auto, or a number of at least 0, got {stages}")
        return stages

    @property
    def stages_to_freeze(self) -> int:
        """The number of frozen stages, with ``auto`` resolved."""
        if self.frozen_stages == "auto":
            return 0 if self.weights is None else 2
        return self.frozen_stages

    @property
    def norm_policy(self) -> Literal["frozen", "train", "sync", "group"]:
        """The treatment of the norms, with ``auto`` resolved."""
        if self.norm == "auto":
            return "train" if self.weights is None else "frozen"
        return self.norm

    def build(self) -> Backbone:
        """Build the backbone with random weights and frozen stages; :func:`detkit.backbones.load_backbone_weights` loads its weights.

        Raises:
            ValueError: If it lacks a level, has fewer stages, or does not support dilation or windows.
        """
        options: dict[str, Any] = {}
        if self.dilated_c4 and not self.dilated_c5:
            raise ValueError("backbone: dilated_c4 goes with a dilated last stage; set model.backbone.dilated_c5=true as well")
        for option in ("dilated_c4", "dilated_c5"):
            if getattr(self, option):
                options[option] = self._supported(option, "supports_dilation", "false")
        if self.window is not None:
            options["window"] = self._supported("window", "is_plain_transformer", "none")
        backbone: Backbone = BACKBONES.get(self.name)(levels=self.levels, norm=self.norm_policy, norm_eps=self.norm_eps, **options)
        if self.normalization == "none":
            backbone.skip_normalization()
        if self.grayscale:
            backbone.make_grayscale()
        backbone.freeze(self.stages_to_freeze)
        return backbone

    def _supported(self, option: str, capability: str, off: str) -> Any:
        """Return the value of an option that only some architectures support."""
        if not getattr(backbone_info(self.name), capability):
            supported = ", ".join(name for name, info in BACKBONE_INFO.items() if getattr(info, capability))
            raise ValueError(
                f"backbone {self.name}: {option} is only for {supported}; choose one of them, or set model.backbone.{option}={off}"
            )
        return getattr(self, option)

"""The backbone made of any timm network that returns feature maps."""

from __future__ import annotations

from typing import Any

from timm.models.vision_transformer import VisionTransformer as TimmTransformer
from torch import Tensor, nn
from torch.nn import functional

from detkit.backbones.any_timm.maps import Network, create, describe, reason
from detkit.backbones.backbone import Backbone, NormPolicy, Tensors, apply_norm_policy
from detkit.backbones.vision_transformer import VisionTransformer


def make(
    name: str,
    *,
    levels: tuple[str, ...] | None = None,
    norm: NormPolicy = "frozen",
    norm_eps: float | None = None,
    window: int | None = None,
) -> Backbone:
    """Build the backbone ``timm/NAME``; plain vision transformers get ViTDet's levels, other networks their own."""
    network = describe(name)
    if network.info.family == TimmTransformer.__name__:
        return VisionTransformer(create(name, dynamic_img_size=True, dynamic_img_pad=True), network.info, levels, window)
    backbone = TimmFeatures(network, levels)
    apply_norm_policy(backbone, norm, norm_eps)
    return backbone


class TimmFeatures(Backbone):
    """A timm network created with ``features_only``.

    Images are padded with zeros to a multiple of the coarsest stride, and maps are cropped to ``ceil(size / stride)`` cells. The centers of
    cells are those of timm's network. Some networks (windowed transformers) take images of their own size alone, which are not padded.

    Args:
        network: What is known about it.
        levels: Names of the maps to return; None: the default levels.
    """

    def __init__(self, network: Network, levels: tuple[str, ...] | None) -> None:
        super().__init__(network.info, levels)
        indices = {output.stride: output.index for output in network.outputs}
        self.body: Any = create(self.name, features_only=True, out_indices=tuple(indices[stride] for stride in self.strides))
        self.input_size, self._multiple, self._channels_last = network.info.input_size, network.pad_multiple, network.channels_last
        own = set(self.state_dict())
        self.unused_prefixes = tuple(name for name in self.rename_published(network.published) if name not in own)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """See :meth:`Backbone.forward`.

        Raises:
            ValueError: If the network does not take images of this size.
        """
        high, wide = images.shape[-2:]
        padded = functional.pad(images, (0, -wide % self._multiple, 0, -high % self._multiple))
        maps = []
        for output, stride in zip(self._run(padded), self.strides, strict=True):
            level = output.permute(0, 3, 1, 2) if self._channels_last else output
            maps.append(level[..., : -(-high // stride), : -(-wide // stride)])
        return tuple(maps)

    def _run(self, images: Tensor) -> list[Tensor]:
        """Return timm's maps; an error is explained where the size of the image is another one than that of the network's training."""
        try:
            maps: list[Tensor] = self.body(images)
        except (AssertionError, RuntimeError) as error:
            size = tuple(images.shape[-2:])
            if size == (self.input_size, self.input_size):
                raise
            raise ValueError(
                f"backbone {self.name}: timm's network takes no image of {size[0]} x {size[1]} pixels ({reason(error)}); "
                f"it was made for {self.input_size} x {self.input_size}: set preprocess.rule=fixed and preprocess.input_size"
            ) from error
        return maps

    def stages(self) -> tuple[nn.ModuleList, ...]:
        """Return each module that has parameters as a stage, and each block of a sequence of blocks, in the order of registration.

        The stem comes first, together with parameters outside any module, such as position embeddings.
        """
        inner = next(iter(self.body.children())) if self._wrapper() else self.body
        parts: list[nn.Module] = []
        for part in inner.children():
            blocks = isinstance(part, nn.ModuleList) or (parts and isinstance(part, nn.Sequential))
            parts += part.children() if blocks else (part,)
        stages = [nn.ModuleList([part]) for part in parts if any(True for _ in part.parameters())]
        outside = [parameter for name, parameter in inner.named_parameters() if "." not in name]
        if outside:
            stages[0].append(nn.ParameterList(outside))
        return tuple(stages)

    def rename_published(self, tensors: Tensors) -> dict[str, Tensor]:
        """See :meth:`Backbone.rename_published`; timm wraps the network, or joins the name of a stage and its index with an underscore."""
        own = {name.partition(".")[0] for name in self.body.state_dict()}
        prefix = f"body.{self._wrapper()}"
        if any(name.startswith(prefix) and name.removeprefix("body.").partition(".")[0] in own for name in tensors):
            return dict(tensors)
        joins = not self._wrapper() and isinstance(self.body, nn.ModuleDict)

        def renamed(name: str) -> str:
            joined = name.replace(".", "_", 1)
            return joined if joins and joined.partition(".")[0] in own else name

        return {prefix + renamed(name): tensor for name, tensor in tensors.items()}

    def _wrapper(self) -> str:
        """The name, with a dot, under which timm's adapter keeps the whole network; empty where its modules were moved into the adapter."""
        names = [name for name, _ in self.body.named_children()]
        return f"{names[0]}." if names in (["model"], ["body"]) else ""

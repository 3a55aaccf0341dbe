"""The base class of backbones, and the class of backbones whose modules run in sequence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

from torch import Tensor, nn

from detkit.accelerate.scaled_conv import absorb_frozen_norms
from detkit.backbones.grayscale import fit_colors, make_grayscale, take_luma
from detkit.backbones.info import BackboneInfo
from detkit.backbones.recipe import Recipe
from detkit.layers import GroupNormAct, LayerNorm2d, SyncNormAct, freeze_norms, replace_norms

NormPolicy = Literal["frozen", "train", "sync", "group"]
Tensors = Mapping[str, Tensor]


class Backbone(nn.Module):
    """A network that computes feature maps of a batch of images, finest first.

    Every map has ``ceil(size / stride)`` cells. Cell (0, 0) is centered on the first pixel, as in torchvision's ResNet, or differs from it
    by the offset of its :class:`~detkit.backbones.Level`.

    Attributes:
        name: In the registry.
        level_names: Of the maps.
        channels: Of each map.
        strides: Of each map, in pixels.
        mean: Of its input, RGB in [0, 1].
        std: Of its input, RGB in [0, 1].
        grayscale: Whether the network sees one channel: the luma of color images.
        frozen_stages: Number of stages, counted from the stem, that are not trained and stay in eval mode.
        unused_prefixes: Prefixes of the published network's tensors that this one does not have: its head, and stages after the last map.
        new_prefixes: Prefixes of this network's tensors that no published file has; they belong to no stage and are always trained.
    """

    def __init__(self, info: BackboneInfo, levels: tuple[str, ...] | None = None) -> None:
        super().__init__()
        selected = info.select_levels(levels)
        self.name = info.name
        self.level_names = tuple(level.name for level in selected)
        self.channels = tuple(level.channels for level in selected)
        self.strides = tuple(level.stride for level in selected)
        self.mean, self.std = info.mean, info.std
        self.grayscale = info.grayscale
        self.color_weights: tuple[str, ...] = ()
        if info.grayscale:
            take_luma(self)
        self.frozen_stages = 0
        self.unused_prefixes: tuple[str, ...] = ()
        self.new_prefixes: tuple[str, ...] = ()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return maps ``(B, channels, ceil(H / stride), ceil(W / stride))`` of normalized images ``(B, 3, H, W)``."""
        raise NotImplementedError

    def stages(self) -> tuple[nn.ModuleList, ...]:
        """Return the stages from the stem on: the units of freezing and of layer-wise learning rates."""
        raise NotImplementedError

    def rename_published(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return the tensors of a published file under this network's names; most files need no change."""
        return dict(tensors)

    def make_grayscale(self) -> None:
        """Let the network see one channel, in place: the luma of color images, normalized by the mean of the colors' numbers.

        The weights of the first convolutions are summed over the colors, here and in published files: a gray image has the maps that it had
        with its channel repeated for every color. A network that sees one channel already is left as it is.

        Raises:
            ValueError: If no convolution reads the image.
        """
        if self.grayscale:
            return
        try:
            self.color_weights = make_grayscale(self)
        except ValueError as error:
            raise ValueError(f"backbone {self.name}: {error}; set model.backbone.grayscale=false") from None
        self.grayscale = True
        mean, std = sum(self.mean) / 3, sum(self.std) / 3
        self.mean, self.std = (mean, mean, mean), (std, std, std)

    def skip_normalization(self) -> None:
        """Let the network see RGB values in [0, 1], in place, as the backbones of RT-DETR and D-FINE do."""
        self.mean, self.std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def fit_colors(self, tensors: Tensors) -> dict[str, Tensor]:
        """Return the tensors of a file, under this network's names, for as many channels as it sees."""
        return fit_colors(tensors, self.color_weights)

    def freeze(self, stages: int) -> None:
        """Freeze the first stages; they stay in eval mode even after ``.train()``, so that their norms do not change.

        Raises:
            ValueError: If the backbone has fewer stages.
        """
        count = len(self.stages())
        if not 0 <= stages <= count:
            raise ValueError(f"backbone {self.name}: expected 0 to {count} frozen stages (the stem is stage 1), got {stages}")
        self.frozen_stages = stages
        for index, stage in enumerate(self.stages()):
            stage.requires_grad_(index >= stages)
        self.train(self.training)

    def frozen_summary(self) -> str:
        """Describe the frozen stages, for a log line."""
        stages = self.stages()
        frozen = sum(parameter.numel() for parameter in self.parameters() if not parameter.requires_grad)
        total = sum(parameter.numel() for parameter in self.parameters())
        name_of = {id(module): name for name, module in self.named_modules()}
        names = [name_of[id(part)] for stage in stages[: self.frozen_stages] for part in stage if id(part) in name_of]
        listed = f" ({', '.join(names)})" if names else ""
        return f"{self.frozen_stages} of {len(stages)} stages are frozen{listed}: {frozen / 1e6:.1f} of {total / 1e6:.1f} M parameters"

    def train(self, mode: bool = True) -> Self:
        """Set the training mode like any module, except that frozen stages stay in eval mode."""
        super().train(mode)
        for stage in self.stages()[: self.frozen_stages]:
            stage.eval()
        return self


class SequentialBackbone(Backbone):
    """A backbone whose modules run in sequence: the modules of a library's network, under the library's names.

    Args:
        body: The library's network. Its modules are moved into this one; those after the last map are dropped.
        info: Its static information.
        stages: For each stage the dotted names of its modules, in execution order.
        taps: For each level, the name of the module whose output it is.
        levels: Names of the maps to return; None: the default levels.
        channels_last: Whether the modules return maps as ``(B, H, W, C)``.
        map_norms: Whether each map passes through its own, newly initialized layer norm.
        norm: How batch norms are treated; see :class:`detkit.backbones.BackboneConfig`.
        norm_eps: Eps of every norm; None: unchanged.
        rename: Converts the tensor names of a published file to the library's, where they differ.
    """

    def __init__(
        self,
        body: nn.Module,
        info: BackboneInfo,
        *,
        stages: tuple[tuple[str, ...], ...],
        taps: Mapping[str, str],
        levels: tuple[str, ...] | None = None,
        channels_last: bool = False,
        map_norms: bool = False,
        norm: NormPolicy = "frozen",
        norm_eps: float | None = None,
        rename: Callable[[Tensors], dict[str, Tensor]] | None = None,
    ) -> None:
        super().__init__(info, levels)
        steps = [step for stage in stages for step in stage]
        self._taps = tuple(taps[name] for name in self.level_names)
        self._steps = tuple(steps[: 1 + max(steps.index(tap) for tap in self._taps)])
        kept = tuple(tuple(step for step in stage if step in self._steps) for stage in stages)
        self._stages = tuple(stage for stage in kept if stage)
        self._rename = rename
        self._channels_last = channels_last
        self._adopt_modules(body)
        apply_norm_policy(self, norm, norm_eps)
        if map_norms:
            self.map_norms = nn.ModuleList(LayerNorm2d(channels) for channels in self.channels)
            self.new_prefixes = ("map_norms.",)

    @classmethod
    def from_recipe(cls, body: nn.Module, info: BackboneInfo, recipe: Recipe, **options: Any) -> Self:
        """Build the backbone from a library's network, which the recipe modifies in place."""
        if recipe.prepare is not None:
            recipe.prepare(body)
        outputs: dict[str, Any] = {"channels_last": recipe.channels_last, "map_norms": recipe.map_norms}
        return cls(body, info, stages=recipe.stages, taps=recipe.taps, **outputs, **options)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """See :meth:`Backbone.forward`."""
        maps = []
        for step in self._steps:
            images = self.get_submodule(step)(images)
            if step in self._taps:
                maps.append(images.permute(0, 3, 1, 2) if self._channels_last else images)
        if self.new_prefixes:
            maps = [norm(level) for norm, level in zip(self.map_norms, maps, strict=True)]
        return tuple(maps)

    def sequences(self) -> list[list[str]]:
        """Return the names of the modules that run in sequence, one list per returned map; nothing else reads the values in between."""
        sequences: list[list[str]] = [[]]
        for step in self._steps:
            sequences[-1].append(step)
            if step in self._taps:
                sequences.append([])
        return sequences

    def stages(self) -> tuple[nn.ModuleList, ...]:
        """See :meth:`Backbone.stages`."""
        return tuple(nn.ModuleList(self.get_submodule(step) for step in stage) for stage in self._stages)

    def rename_published(self, tensors: Tensors) -> dict[str, Tensor]:
        """See :meth:`Backbone.rename_published`."""
        return dict(tensors) if self._rename is None else self._rename(tensors)

    def _adopt_modules(self, body: nn.Module) -> None:
        """Register the modules of ``body`` that run here under their own names, and record the names of the others."""
        self.unused_prefixes = tuple(_prune(body, self._steps))
        for name, child in list(body.named_children()):
            self.add_module(name, child)


def _prune(module: nn.Module, steps: tuple[str, ...], prefix: str = "") -> list[str]:
    """Delete, in place, all submodules that no step runs, and return their names, each with a trailing dot."""
    dropped = []
    for name, child in list(module.named_children()):
        path = f"{prefix}{name}"
        if any(step.startswith(f"{path}.") for step in steps):
            dropped += _prune(child, steps, f"{path}.")
        elif path not in steps:
            dropped.append(f"{path}.")
            del module._modules[name]
    return dropped


def apply_norm_policy(network: nn.Module, norm: NormPolicy, eps: float | None) -> None:
    """Apply a norm policy to every batch norm, in place; see :class:`detkit.backbones.BackboneConfig`."""
    if norm == "frozen":
        freeze_norms(network, eps)
        absorb_frozen_norms(network)
        return
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and eps is not None:
            module.eps = eps
    if norm != "train":
        replace_norms(network, SyncNormAct if norm == "sync" else GroupNormAct)

"""What every backbone offers, and the class of those that run their parts one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

from torch import Tensor, nn

from detkit.backbones.chain_parts import Recipe
from detkit.backbones.facts import BackboneFacts
from detkit.layers import GroupNormAct, MapNorm, SyncNormAct, absorb_frozen_norms, exchange_norms, freeze_norms

NormPolicy = Literal["frozen", "train", "sync", "group"]
Tensors = Mapping[str, Tensor]


class Backbone(nn.Module):
    """A network that gives maps of a batch of images, finest first.

    Every map has ``ceil(size / stride)`` cells, and cell (0, 0) is centered on the first pixel, as in torchvision's ResNet, or as far
    from it as the facts of its level say.

    Attributes:
        name: As in the table.
        level_names: Of the maps.
        channels: Of each map.
        strides: Of each map, in pixels.
        mean: Of its input, RGB in [0, 1].
        std: Of its input, RGB in [0, 1].
        frozen_stages: How many stages, from the stem, neither learn nor leave eval mode.
        left_out: Prefixes of the published network's tensors that this one has no use for: its head, and stages behind the last map.
        fresh: Prefixes of this network's tensors that no published file has; they are in no stage and always learn.
    """

    def __init__(self, facts: BackboneFacts, levels: tuple[str, ...] | None = None) -> None:
        super().__init__()
        chosen = facts.chosen(levels)
        self.name = facts.name
        self.level_names = tuple(level.name for level in chosen)
        self.channels = tuple(level.channels for level in chosen)
        self.strides = tuple(level.stride for level in chosen)
        self.mean, self.std = facts.mean, facts.std
        self.frozen_stages = 0
        self.left_out: tuple[str, ...] = ()
        self.fresh: tuple[str, ...] = ()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Maps ``(B, channels, ceil(H / stride), ceil(W / stride))`` of normalized images ``(B, 3, H, W)``."""
        raise NotImplementedError

    def stages(self) -> tuple[nn.ModuleList, ...]:
        """The parts from the stem on: the units of freezing and of layer-wise learning rates."""
        raise NotImplementedError

    def published_names(self, tensors: Tensors) -> dict[str, Tensor]:
        """The tensors of a published file under this network's names; most files need no change."""
        return dict(tensors)

    def freeze(self, stages: int) -> None:
        """Stop the first stages from learning, for good: also under ``.train()`` their norms stay as they are.

        Raises:
            ValueError: there are not as many stages.
        """
        count = len(self.stages())
        if not 0 <= stages <= count:
            raise ValueError(f"backbone {self.name}: expected 0 to {count} frozen stages (the stem is stage 1), got {stages}")
        self.frozen_stages = stages
        for place, stage in enumerate(self.stages()):
            stage.requires_grad_(place >= stages)
        self.train(self.training)

    def frozen_spoken(self) -> str:
        """Which of its parts do not learn, in words for a person."""
        stages = self.stages()
        still = sum(parameter.numel() for parameter in self.parameters() if not parameter.requires_grad)
        whole = sum(parameter.numel() for parameter in self.parameters())
        parts = {id(module): name for name, module in self.named_modules()}
        names = [parts[id(part)] for stage in stages[: self.frozen_stages] for part in stage if id(part) in parts]
        which = f" ({', '.join(names)})" if names else ""
        return f"{self.frozen_stages} of {len(stages)} stages are frozen{which}: {still / 1e6:.1f} of {whole / 1e6:.1f} M parameters"

    def train(self, mode: bool = True) -> Self:
        """Like every module's, except that frozen stages stay in eval mode."""
        super().train(mode)
        for stage in self.stages()[: self.frozen_stages]:
            stage.eval()
        return self


class ChainBackbone(Backbone):
    """A backbone whose parts run one after another: the parts of a library's network, under the library's names.

    Args:
        body: The library's network; its parts are taken over, and what lies behind the last map is dropped.
        facts: What is known about it.
        stages: For each stage the dotted names of its parts, in the order of running.
        taps: For each level, the name of the part whose output it is.
        levels: Names of the maps to give; None: the usual ones.
        channels_last: Whether the parts give maps as ``(B, H, W, C)``.
        map_norms: Whether every map passes a layer norm of its own, which starts anew.
        norm: What the batch norms do; see :class:`detkit.backbones.BackboneConfig`.
        norm_eps: Eps of every norm; None: each one's own.
        rename: Brings a published file's names to the library's, where they differ.
    """

    def __init__(
        self,
        body: nn.Module,
        facts: BackboneFacts,
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
        super().__init__(facts, levels)
        steps = [step for stage in stages for step in stage]
        self._taps = tuple(taps[name] for name in self.level_names)
        self._steps = tuple(steps[: 1 + max(steps.index(tap) for tap in self._taps)])
        kept = tuple(tuple(step for step in stage if step in self._steps) for stage in stages)
        self._stages = tuple(stage for stage in kept if stage)
        self._rename = rename
        self._channels_last = channels_last
        self._take_over(body)
        set_norms(self, norm, norm_eps)
        if map_norms:
            self.map_norms = nn.ModuleList(MapNorm(channels) for channels in self.channels)
            self.fresh = ("map_norms.",)

    @classmethod
    def of(cls, body: nn.Module, facts: BackboneFacts, recipe: Recipe, **choices: Any) -> Self:
        """The chain that a recipe makes of a library's network, which is put right in place."""
        if recipe.prepare is not None:
            recipe.prepare(body)
        how: dict[str, Any] = {"channels_last": recipe.channels_last, "map_norms": recipe.map_norms}
        return cls(body, facts, stages=recipe.stages, taps=recipe.taps, **how, **choices)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """See :meth:`Backbone.forward`."""
        maps = []
        for step in self._steps:
            images = self.get_submodule(step)(images)
            if step in self._taps:
                maps.append(images.permute(0, 3, 1, 2) if self._channels_last else images)
        if self.fresh:
            maps = [norm(found) for norm, found in zip(self.map_norms, maps, strict=True)]
        return tuple(maps)

    def sequences(self) -> list[list[str]]:
        """Names of the parts that run one after another, a list for each map that is given: nothing else reads what runs between."""
        found: list[list[str]] = [[]]
        for step in self._steps:
            found[-1].append(step)
            if step in self._taps:
                found.append([])
        return found

    def stages(self) -> tuple[nn.ModuleList, ...]:
        """See :meth:`Backbone.stages`."""
        return tuple(nn.ModuleList(self.get_submodule(step) for step in stage) for stage in self._stages)

    def published_names(self, tensors: Tensors) -> dict[str, Tensor]:
        """See :meth:`Backbone.published_names`."""
        return dict(tensors) if self._rename is None else self._rename(tensors)

    def _take_over(self, body: nn.Module) -> None:
        """Make the parts of ``body`` that run here its own, under their names, and remember the others' names."""
        self.left_out = tuple(_prune(body, self._steps))
        for name, child in list(body.named_children()):
            self.add_module(name, child)


def _prune(module: nn.Module, steps: tuple[str, ...], prefix: str = "") -> list[str]:
    """Drop, in place, all below ``module`` that no step runs; gives the names of what was dropped, each with its dot."""
    dropped = []
    for name, child in list(module.named_children()):
        path = f"{prefix}{name}"
        if any(step.startswith(f"{path}.") for step in steps):
            dropped += _prune(child, steps, f"{path}.")
        elif path not in steps:
            dropped.append(f"{path}.")
            del module._modules[name]
    return dropped


def set_norms(network: nn.Module, norm: NormPolicy, eps: float | None) -> None:
    """Do to every batch norm, in place, what the policy says; see :class:`detkit.backbones.BackboneConfig`."""
    if norm == "frozen":
        freeze_norms(network, eps)
        absorb_frozen_norms(network)
        return
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and eps is not None:
            module.eps = eps
    if norm != "train":
        exchange_norms(network, SyncNormAct if norm == "sync" else GroupNormAct)

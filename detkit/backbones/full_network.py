"""A backbone inside the network that it was published in, with a head for other classes: the network that a classifier trains."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from detkit.backbones.backbone import Backbone, Tensors, apply_norm_policy
from detkit.backbones.classifiers import has_network, library_network
from detkit.backbones.config import BackboneConfig
from detkit.backbones.registry import BACKBONES, backbone_info

_AUXILIARY = ("aux1", "aux2", "AuxLogits")
"""torchvision's names for the auxiliary classifiers of GoogLeNet and Inception v3."""


class FullNetwork(Backbone):
    """A published network with a new head, used like a backbone; its only "maps" are logits.

    Freezing, layer-wise learning rates and loading work as with the backbone of the same name, because the stages are the same. Layers
    after the last stage, such as VGG's fully connected layers, belong to that stage; the head belongs to none. A backbone that was never
    a classifier gets the mean over its last map and one linear layer.

    Attributes:
        num_heads: Number of outputs that are logits to be averaged: two for DeiT with its distillation token, otherwise one.

    Args:
        config: The backbone and its norm policy.
        num_classes: Of the head.
        auxiliary: Whether to keep auxiliary classifiers, if any. They return logits in training mode only, as in the library.
    """

    def __init__(self, config: BackboneConfig, num_classes: int, auxiliary: bool = True) -> None:
        super().__init__(backbone_info(config.name))
        self.channels = self.strides = ()
        with torch.device("meta"):
            self._plain: tuple[Backbone] = (BACKBONES.get(config.name)(levels=None, norm="train", norm_eps=None),)
        self.network = library_network(config.name, any_size=True) if has_network(config.name) else _Pooled(config.name)
        present = {name for name, _ in self.network.named_children()} & set(_AUXILIARY)
        if not auxiliary:
            for name in present:
                setattr(self.network, name, None)
        head = _replace_head(self.network, num_classes)
        apply_norm_policy(self.network, config.norm_policy, config.norm_eps)
        self.num_heads = 2 if _has_two_heads(self.network) else 1
        self.num_auxiliary = len(present) if auxiliary else 0
        auxiliaries = tuple(f"network.{name}." for name in sorted(present))
        self.new_prefixes = (*(f"network.{name}" for name in head), *auxiliaries)
        self.unused_prefixes = () if auxiliary else auxiliaries
        self.head_names = tuple(f"network.{name}" for name in head)
        self._parts = self._assign_stages()
        if config.normalization == "none":
            self.skip_normalization()
        if config.grayscale:
            self.make_grayscale()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return logits ``(B, K)`` of normalized images: of the heads, then, in training mode, of the auxiliary classifiers."""
        if _has_two_heads(self.network):
            return _logits_of_both_heads(self.network, images)
        output: Any = self.network(images)
        return (output,) if isinstance(output, Tensor) else tuple(logits for logits in output if logits is not None)

    def stages(self) -> tuple[nn.ModuleList, ...]:
        """See :meth:`Backbone.stages`."""
        stages = []
        for modules, parameters in self._parts:
            stage = nn.ModuleList(self.get_submodule(name) for name in modules)
            if parameters:
                stage.append(nn.ParameterList([self.get_parameter(name) for name in parameters]))
            stages.append(stage)
        return tuple(stages)

    def rename_published(self, tensors: Tensors) -> dict[str, Tensor]:
        """See :meth:`Backbone.rename_published`; the heads in the file, which are for other classes, are dropped."""
        own = {name.removeprefix("network.") for name in self.state_dict()}
        if not isinstance(self.network, _Pooled):
            tensors = tensors if own & set(tensors) else self._plain[0].rename_published(tensors)
            renamed = {f"network.{name}": tensor for name, tensor in tensors.items()}
        else:
            renamed = {f"network.backbone.{name}": tensor for name, tensor in self._plain[0].rename_published(tensors).items()}
            renamed = {name: tensor for name, tensor in renamed.items() if not name.startswith(self._unused_backbone_prefixes())}
        return {name: tensor for name, tensor in renamed.items() if name not in self.head_names}

    def _unused_backbone_prefixes(self) -> tuple[str, ...]:
        return tuple(f"network.backbone.{prefix}" for prefix in self._plain[0].unused_prefixes)

    def _assign_stages(self) -> tuple[tuple[list[str], list[str]], ...]:
        """Return, for each stage, the largest modules entirely within it, and the parameters that are in no such module, by name."""
        stage_of, count = self._stage_of_parameters()
        parts: tuple[tuple[list[str], list[str]], ...] = tuple(([], []) for _ in range(count))

        def walk(module: nn.Module, prefix: str) -> None:
            inside = {stage_of.get(id(parameter)) for parameter in module.parameters()}
            if len(inside) == 1 and (index := inside.pop()) is not None and prefix:
                parts[index][0].append(prefix.removesuffix("."))
                return
            for own, parameter in module.named_parameters(recurse=False):
                if (index := stage_of.get(id(parameter))) is not None:
                    parts[index][1].append(f"{prefix}{own}")
            for child_name, child in module.named_children():
                walk(child, f"{prefix}{child_name}.")

        walk(self, "")
        return parts

    def _stage_of_parameters(self) -> tuple[dict[int, int], int]:
        """Return the stage of each parameter, by id, and the number of stages, as in the backbone of the same name."""
        plain = self._plain[0]
        names = {id(parameter): name for name, parameter in plain.named_parameters()}
        stage_of = {names[id(p)]: index for index, stage in enumerate(plain.stages()) for p in stage.parameters() if id(p) in names}
        body = self.network.backbone if isinstance(self.network, _Pooled) else self.network
        # Renaming keeps the tensor objects, so each parameter is identified by its id.
        renamed = plain.rename_published(dict(body.named_parameters()))
        stages = {id(parameter): stage_of.get(name, max(stage_of.values())) for name, parameter in renamed.items()}
        for name, parameter in self.named_parameters():
            if name.startswith(self.new_prefixes):
                stages.pop(id(parameter), None)
        return stages, max(stage_of.values()) + 1


class _Pooled(nn.Module):
    """The mean over a backbone's last map and a linear layer, for backbones that were never classifiers."""

    def __init__(self, name: str) -> None:
        super().__init__()
        last = backbone_info(name).levels[-1]
        self.backbone: Backbone = BACKBONES.get(name)(levels=(last.name,), norm="train", norm_eps=None)
        self.head = nn.Linear(last.channels, 1000)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of normalized images."""
        logits: Tensor = self.head(self.backbone(images)[-1].mean((-2, -1)))
        return logits


def _replace_head(network: nn.Module, num_classes: int) -> tuple[str, ...]:
    """Replace the last layers of a network, in place, and return the names of their tensors."""
    before = {name: id(parameter) for name, parameter in network.named_parameters()}
    reset: Any = getattr(network, "reset_classifier", None)
    if reset is not None:  # a network of timm
        reset(num_classes)
    else:
        # The last layers of auxiliary classifiers have as many classes as that of the network.
        linears = {name: part for name, part in network.named_modules() if isinstance(part, nn.Linear)}
        published = list(linears.values())[-1].out_features
        for name, part in linears.items():
            if part.out_features == published:
                network.set_submodule(name, nn.Linear(part.in_features, num_classes))
    return tuple(name for name, parameter in network.named_parameters() if before.get(name) != id(parameter))


def _has_two_heads(network: nn.Module) -> bool:
    return isinstance(getattr(network, "head_dist", None), nn.Module)


def _logits_of_both_heads(network: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return DeiT's logits of its class token and of its distillation token, which the library averages unless it distills."""
    tokens = network.forward_features(images)
    return network.head(network.head_drop(tokens[:, 0])), network.head_dist(network.head_drop(tokens[:, 1]))

"""A backbone in the network that it was published in, with a head for other classes: what a classifier trains."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from detkit.backbones.backbone import Backbone, Tensors, set_norms
from detkit.backbones.classifiers import has_network, library_network
from detkit.backbones.config import BackboneConfig
from detkit.backbones.facts import facts_of
from detkit.backbones.table import BACKBONES

_AUXILIARY = ("aux1", "aux2", "AuxLogits")
"""What torchvision calls the auxiliary classifiers of GoogLeNet and Inception v3."""


class WholeNetwork(Backbone):
    """A published network with a fresh head, in the place of a backbone; its one "map" are logits.

    Freezing, layer-wise rates and loading work as with the backbone of the same name, whose stages these are. What comes behind the last
    stage (VGG's fully connected layers, say) belongs to that stage, and the head to none. A backbone that never was a classifier
    gets the mean over its last map and one linear layer.

    Attributes:
        heads: How many of the outputs are logits to be averaged: two for DeiT with its distillation token, else one.

    Args:
        config: Which backbone, and what its norms do.
        num_classes: Of the head.
        auxiliary: Whether auxiliary classifiers are kept, where it has any; they speak in training mode alone, as in the library.
    """

    def __init__(self, config: BackboneConfig, num_classes: int, auxiliary: bool = True) -> None:
        super().__init__(facts_of(config.name))
        self.channels = self.strides = ()
        with torch.device("meta"):
            self._plain: tuple[Backbone] = (BACKBONES.get(config.name)(levels=None, norm="train", norm_eps=None),)
        self.network = library_network(config.name, any_size=True) if has_network(config.name) else _Pooled(config.name)
        given = {name for name, _ in self.network.named_children()} & set(_AUXILIARY)
        if not auxiliary:
            for name in given:
                setattr(self.network, name, None)
        head = _exchange_head(self.network, num_classes)
        set_norms(self.network, config.norm_policy, config.norm_eps)
        self.heads = 2 if _both_heads(self.network) else 1
        self.auxiliary = len(given) if auxiliary else 0
        auxiliaries = tuple(f"network.{name}." for name in sorted(given))
        self.fresh = (*(f"network.{name}" for name in head), *auxiliaries)
        self.left_out = () if auxiliary else auxiliaries
        self.head_names = tuple(f"network.{name}" for name in head)
        self._parts = self._parted(config.name)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits ``(B, K)`` of normalized images: those of the heads, then those of the auxiliary classifiers in training mode."""
        if _both_heads(self.network):
            return _both_logits(self.network, images)
        found: Any = self.network(images)
        return (found,) if isinstance(found, Tensor) else tuple(part for part in found if part is not None)

    def stages(self) -> tuple[nn.ModuleList, ...]:
        """See :meth:`Backbone.stages`."""
        made = []
        for modules, parameters in self._parts:
            stage = nn.ModuleList(self.get_submodule(name) for name in modules)
            if parameters:
                stage.append(nn.ParameterList([self.get_parameter(name) for name in parameters]))
            made.append(stage)
        return tuple(made)

    def published_names(self, tensors: Tensors) -> dict[str, Tensor]:
        """See :meth:`Backbone.published_names`; a file's heads, which are for other classes, are left out."""
        own = {name.removeprefix("network.") for name in self.state_dict()}
        if not isinstance(self.network, _Pooled):
            tensors = tensors if own & set(tensors) else self._plain[0].published_names(tensors)
            named = {f"network.{name}": tensor for name, tensor in tensors.items()}
        else:
            named = {f"network.backbone.{name}": tensor for name, tensor in self._plain[0].published_names(tensors).items()}
            named = {name: tensor for name, tensor in named.items() if not name.startswith(self._backbone_left_out())}
        return {name: tensor for name, tensor in named.items() if name not in self.head_names}

    def _backbone_left_out(self) -> tuple[str, ...]:
        return tuple(f"network.backbone.{prefix}" for prefix in self._plain[0].left_out)

    def _parted(self, name: str) -> tuple[tuple[list[str], list[str]], ...]:
        """For each stage the names of the largest modules that lie in it wholly, and of parameters that lie in no such module."""
        places, count = self._places()
        parts: tuple[tuple[list[str], list[str]], ...] = tuple(([], []) for _ in range(count))

        def walk(module: nn.Module, prefix: str) -> None:
            inside = {places.get(id(parameter)) for parameter in module.parameters()}
            if len(inside) == 1 and (place := inside.pop()) is not None and prefix:
                parts[place][0].append(prefix.removesuffix("."))
                return
            for own, parameter in module.named_parameters(recurse=False):
                if (place := places.get(id(parameter))) is not None:
                    parts[place][1].append(f"{prefix}{own}")
            for child_name, child in module.named_children():
                walk(child, f"{prefix}{child_name}.")

        walk(self, "")
        return parts

    def _places(self) -> tuple[dict[int, int], int]:
        """The stage of each parameter, by its id, and how many stages there are: those of the backbone of the same name."""
        plain = self._plain[0]
        names = {id(parameter): name for name, parameter in plain.named_parameters()}
        stage_of = {names[id(p)]: place for place, stage in enumerate(plain.stages()) for p in stage.parameters() if id(p) in names}
        whole = self.network.backbone if isinstance(self.network, _Pooled) else self.network
        # A renaming passes the tensors themselves on, by which each is known again.
        renamed: Any = plain.published_names(dict(whole.named_parameters()))  # type: ignore[union-attr, operator]
        places = {id(parameter): stage_of.get(name, max(stage_of.values())) for name, parameter in renamed.items()}
        for name, parameter in self.named_parameters():
            if name.startswith(self.fresh):
                places.pop(id(parameter), None)
        return places, max(stage_of.values()) + 1


class _Pooled(nn.Module):
    """The mean over a backbone's last map, and a linear layer: for backbones that never were classifiers."""

    def __init__(self, name: str) -> None:
        super().__init__()
        last = facts_of(name).levels[-1]
        self.backbone = BACKBONES.get(name)(levels=(last.name,), norm="train", norm_eps=None)
        self.head = nn.Linear(last.channels, 1000)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of normalized images."""
        return self.head(self.backbone(images)[-1].mean((-2, -1)))  # type: ignore[no-any-return]


def _exchange_head(network: nn.Module, num_classes: int) -> tuple[str, ...]:
    """Give a network new last layers, in place; gives the names of their tensors."""
    before = {name: id(parameter) for name, parameter in network.named_parameters()}
    reset: Any = getattr(network, "reset_classifier", None)
    if reset is not None:  # timm's networks know how
        reset(num_classes)
    else:
        # Auxiliary classifiers end in layers of as many classes as the last one.
        lines = {name: part for name, part in network.named_modules() if isinstance(part, nn.Linear)}
        published = list(lines.values())[-1].out_features
        for name, part in lines.items():
            if part.out_features == published:
                network.set_submodule(name, nn.Linear(part.in_features, num_classes))
    return tuple(name for name, parameter in network.named_parameters() if before.get(name) != id(parameter))


def _both_heads(network: nn.Module) -> bool:
    return isinstance(getattr(network, "head_dist", None), nn.Module)


def _both_logits(network: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """What DeiT says by its class token and by its distillation token, which the library averages outside of a distillation."""
    tokens = network.forward_features(images)
    return network.head(network.head_drop(tokens[:, 0])), network.head_dist(network.head_drop(tokens[:, 1]))

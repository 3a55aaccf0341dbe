"""Optimizers: which parameters move, how fast each group does, and how the rate follows the batch size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from detkit.config import Config

Scaling = Literal["linear", "sqrt", "none"]


class _Optimizer(Config):
    lr: float = Field(gt=0)
    """Learning rate at the reference batch size."""
    reference_batch_size: int = Field(default=16, ge=1)
    """Images a step for which ``lr`` was chosen; another batch size scales the rate by ``scaling``."""
    lr_scaling: Scaling = "linear"
    """How the rate follows the batch size: in proportion, with its square root, or not."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decay of weights; norms and biases do not decay unless ``decay_norms_and_biases``."""
    decay_norms_and_biases: bool = False
    """Whether parameters with one dimension decay too (torchvision's reference training does that)."""
    backbone_lr_factor: float = Field(default=1.0, ge=0)
    """Times the rate in the backbone (the network that an FPN wraps, not the FPN)."""
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """Times the rate once more for each backbone stage between a parameter and the neck; 1 is none."""

    def scaled_lr(self, batch_size: int) -> float:
        """The rate for ``batch_size`` images a step."""
        ratio = batch_size / self.reference_batch_size
        return self.lr * {"linear": ratio, "sqrt": math.sqrt(ratio), "none": 1.0}[self.lr_scaling]

    def rule(self, batch_size: int) -> str:
        """One line that says how :meth:`scaled_lr` came to its number."""
        lr, ratio = self.scaled_lr(batch_size), f"{batch_size}/{self.reference_batch_size}"
        how = {"linear": f" x {ratio}", "sqrt": f" x sqrt({ratio})", "none": ""}[self.lr_scaling]
        given = f"lr_scaling={self.lr_scaling}; {self.lr:g} is for {self.reference_batch_size} images a step"
        return f"learning rate {lr:.6g} = {self.lr:g}{how} ({given})"


class SGDConfig(_Optimizer):
    """Stochastic gradient descent with momentum; defaults as torchvision's reference detection training, scaled as arXiv:1706.02677."""

    kind: Literal["sgd"] = "sgd"
    lr: float = Field(default=0.02, gt=0)
    """Learning rate at the reference batch size."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Share of the last step that is repeated."""
    nesterov: bool = False
    """Nesterov's momentum."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Decay of weights; norms and biases do not decay unless ``decay_norms_and_biases``."""

    def build(self, groups: list[dict[str, Any]], lr: float, fused: bool) -> torch.optim.Optimizer:
        """The optimizer over ``groups`` with the scaled rate."""
        optimizer = torch.optim.SGD(groups, lr=lr, momentum=self.momentum, nesterov=self.nesterov, fused=fused)
        _begin_momentum(optimizer)
        optimizer.register_load_state_dict_post_hook(_begin_momentum)  # type: ignore[arg-type]  # a state of before has not all
        return optimizer


class AdamWConfig(_Optimizer):
    """Adam with decoupled weight decay (arXiv:1711.05101)."""

    kind: Literal["adamw"] = "adamw"
    lr: float = Field(default=1e-4, gt=0)
    """Learning rate at the reference batch size."""
    lr_scaling: Scaling = "sqrt"
    """How the rate follows the batch size: in proportion, with its square root, or not."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the means of the gradient and of its square."""
    eps: float = Field(default=1e-8, gt=0)
    """Added to the root of the mean square."""
    weight_decay: float = Field(default=0.05, ge=0)
    """Decay of weights; norms and biases do not decay unless ``decay_norms_and_biases``."""

    def build(self, groups: list[dict[str, Any]], lr: float, fused: bool) -> torch.optim.Optimizer:
        """The optimizer over ``groups`` with the scaled rate."""
        return torch.optim.AdamW(groups, lr=lr, betas=self.betas, eps=self.eps, fused=fused)


OptimizerConfig = Annotated[SGDConfig | AdamWConfig, Field(discriminator="kind")]


def parameter_groups(model: nn.Module, config: SGDConfig | AdamWConfig) -> list[dict[str, Any]]:
    """The parameters that train, in groups of one rate factor and one decay; each group keeps its ``factor`` for the schedule.

    Raises:
        ValueError: everything is frozen.
    """
    factors = _backbone_factors(model, config)
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        decays = config.decay_norms_and_biases or parameter.ndim > 1
        key = (factors.get(id(parameter), 1.0), config.weight_decay if decays else 0.0)
        groups.setdefault(key, []).append(parameter)
    if not groups:
        raise ValueError("every parameter is frozen: there is nothing to train; lower model.backbone.frozen_stages")
    return [{"params": params, "factor": factor, "weight_decay": decay} for (factor, decay), params in groups.items()]


def build_optimizer(
    model: nn.Module, config: SGDConfig | AdamWConfig, batch_size: int, more: Sequence[Tensor] = ()
) -> torch.optim.Optimizer:
    """The optimizer of the parameters that train, at the rate for ``batch_size`` images a step over all processes.

    ``more`` are parameters that are no part of the model and learn with it; they do not decay.
    """
    groups = parameter_groups(model, config)
    if more:
        groups.append({"params": list(more), "factor": 1.0, "weight_decay": 0.0})
    fused = groups[0]["params"][0].device.type in {"cpu", "cuda"}
    optimizer = config.build(groups, config.scaled_lr(batch_size), fused)
    for group in optimizer.param_groups:
        group["base_lr"] = config.scaled_lr(batch_size) * group["factor"]
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Give every group its own base rate times the schedule's factor."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor


def innermost_backbone(model: nn.Module) -> nn.Module | None:
    """The network that the necks wrap, or nothing for a model without a ``backbone``."""
    backbone = getattr(model, "backbone", None)
    while isinstance(getattr(backbone, "backbone", None), nn.Module):
        backbone = backbone.backbone  # type: ignore[union-attr]
    return backbone if isinstance(backbone, nn.Module) else None


def _begin_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Give every parameter that has no momentum a momentum of zero, from which its first step is the same.

    PyTorch's fused rule expects of each group that all have one or none has, and fails when frozen parameters begin to learn beside others.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"] if group["momentum"] else ():
            if optimizer.state[parameter].get("momentum_buffer") is None:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter, requires_grad=False)


def _backbone_factors(model: nn.Module, config: SGDConfig | AdamWConfig) -> dict[int, float]:
    backbone = innermost_backbone(model)
    if backbone is None:
        return {}
    heads = getattr(backbone, "head_names", ())  # a classifier's network has its head within
    factors = {id(parameter): config.backbone_lr_factor for name, parameter in backbone.named_parameters() if name not in heads}
    listed: Any = getattr(backbone, "stages", None)
    stages = list(listed()) if callable(listed) and config.layer_decay != 1 else []
    for place, stage in enumerate(stages):
        for parameter in stage.parameters():
            factors[id(parameter)] = config.backbone_lr_factor * config.layer_decay ** (len(stages) - place)
    return factors

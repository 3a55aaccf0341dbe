"""Optimizers: parameter groups, their learning rates, and the scaling of the rate with the batch size."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from detkit.config import Config
from detkit.training.optim.groups import ParameterGroupConfig, match_groups

_log = logging.getLogger(__name__)

Scaling = Literal["linear", "sqrt", "none"]


class _Optimizer(Config):
    lr: float = Field(gt=0)
    """Learning rate at the reference batch size."""
    reference_batch_size: int = Field(default=16, ge=1)
    """Images per step for which ``lr`` was chosen; for another batch size the rate is scaled by ``lr_scaling``."""
    lr_scaling: Scaling = "linear"
    """How the learning rate scales with the batch size: linearly, with its square root, or not at all."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Weight decay; not applied to norms and biases unless ``decay_norms_and_biases`` is set."""
    l1_penalty: float = Field(default=0.0, ge=0)
    """L1 penalty (Lasso): after each step, weights shrink toward 0 by ``lr * l1_penalty`` and stay exactly 0 when they reach it. Never
    applied to norms and biases; usually 1e-6 to 1e-3."""
    decay_norms_and_biases: bool = False
    """Apply weight decay to parameters with one dimension too, as torchvision's reference training does."""
    decay_biases: bool = False
    """Apply weight decay to the biases of layers that are not norms too, as RT-DETR does."""
    backbone_lr_factor: float = Field(default=1.0, ge=0)
    """Factor of the learning rate in the backbone (the network that an FPN wraps, not the FPN)."""
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """Additional factor of the learning rate for each backbone stage between a parameter and the neck; 1 disables it."""
    groups: tuple[ParameterGroupConfig, ...] = ()
    """Parameters with their own learning rate or weight decay, by name; the first group that matches a name is used."""

    def scaled_lr(self, batch_size: int) -> float:
        """Return the learning rate for ``batch_size`` images per step."""
        ratio = batch_size / self.reference_batch_size
        return self.lr * {"linear": ratio, "sqrt": math.sqrt(ratio), "none": 1.0}[self.lr_scaling]

    def describe_lr(self, batch_size: int) -> str:
        """Return one line that shows how :meth:`scaled_lr` is computed."""
        lr, ratio = self.scaled_lr(batch_size), f"{batch_size}/{self.reference_batch_size}"
        factor = {"linear": f" x {ratio}", "sqrt": f" x sqrt({ratio})", "none": ""}[self.lr_scaling]
        reason = f"lr_scaling={self.lr_scaling}; {self.lr:g} is for {self.reference_batch_size} images per step"
        return f"learning rate {lr:.6g} = {self.lr:g}{factor} ({reason})"


class SGDConfig(_Optimizer):
    """Stochastic gradient descent with momentum; defaults of torchvision's reference detection training, scaled as in arXiv:1706.02677."""

    kind: Literal["sgd"] = "sgd"
    lr: float = Field(default=0.02, gt=0)
    """Learning rate at the reference batch size."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum; usually 0.9."""
    nesterov: bool = False
    """Use Nesterov momentum."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Weight decay; not applied to norms and biases unless ``decay_norms_and_biases`` is set."""

    def build(self, groups: list[dict[str, Any]], lr: float, fused: bool) -> torch.optim.Optimizer:
        """Build the optimizer over ``groups`` with the scaled learning rate."""
        optimizer = torch.optim.SGD(groups, lr=lr, momentum=self.momentum, nesterov=self.nesterov, fused=fused)
        _init_momentum(optimizer)
        optimizer.register_load_state_dict_post_hook(_init_momentum)  # type: ignore[arg-type]  # older states lack some of the buffers
        return optimizer


class AdamWConfig(_Optimizer):
    """Adam with decoupled weight decay (arXiv:1711.05101)."""

    kind: Literal["adamw"] = "adamw"
    lr: float = Field(default=1e-4, gt=0)
    """Learning rate at the reference batch size."""
    lr_scaling: Scaling = "sqrt"
    """How the learning rate scales with the batch size: linearly, with its square root, or not at all."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the moving averages of the gradient and of its square."""
    eps: float = Field(default=1e-8, gt=0)
    """Added to the root of the mean square, for numerical stability."""
    weight_decay: float = Field(default=0.05, ge=0)
    """Weight decay; not applied to norms and biases unless ``decay_norms_and_biases`` is set."""

    def build(self, groups: list[dict[str, Any]], lr: float, fused: bool) -> torch.optim.Optimizer:
        """Build the optimizer over ``groups`` with the scaled learning rate."""
        return torch.optim.AdamW(groups, lr=lr, betas=self.betas, eps=self.eps, fused=fused)


OptimizerConfig = Annotated[SGDConfig | AdamWConfig, Field(discriminator="kind")]


def parameter_groups(model: nn.Module, config: SGDConfig | AdamWConfig) -> list[dict[str, Any]]:
    """Return the trainable parameters, grouped by learning rate factor and decay; each group keeps its ``factor`` for the schedule.

    Raises:
        ValueError: If every parameter is frozen, or a pattern of ``config.groups`` matches no parameter.
    """
    factors, matches = _backbone_factors(model, config), match_groups([name for name, _ in model.named_parameters()], config.groups)
    decaying_biases = _layer_biases(model) if config.decay_biases else set()
    groups: dict[tuple[float, float, float], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        decays = config.decay_norms_and_biases or parameter.ndim > 1 or id(parameter) in decaying_biases
        factor, decay = factors.get(id(parameter), 1.0), config.weight_decay if decays else 0.0
        if (group := matches.get(name)) is not None:
            factor = factor if group.lr_factor is None else group.lr_factor
            decay = decay if group.weight_decay is None else group.weight_decay
        groups.setdefault((factor, decay, config.l1_penalty if parameter.ndim > 1 else 0.0), []).append(parameter)
    if not groups:
        raise ValueError("every parameter is frozen, so there is nothing to train; lower model.backbone.frozen_stages")
    for group in config.groups:
        count = sum(match is group for match in matches.values())
        _log.info(
            "parameters %r: %d, learning rate factor %s, weight decay %s", group.parameters, count, group.lr_factor, group.weight_decay
        )
    return [{"params": params, "factor": factor, "weight_decay": decay, "l1_penalty": l1} for (factor, decay, l1), params in groups.items()]


def _layer_biases(model: nn.Module) -> set[int]:
    """Return the ids of the biases of all layers that are not norms."""
    layers = [module for module in model.modules() if "norm" not in type(module).__name__.lower()]
    return {id(parameter) for layer in layers for name, parameter in layer.named_parameters(recurse=False) if name.endswith("bias")}


def build_optimizer(
    model: nn.Module, config: SGDConfig | AdamWConfig, batch_size: int, extra: Sequence[Tensor] = ()
) -> torch.optim.Optimizer:
    """Build the optimizer of the trainable parameters, with the learning rate for the batch size.

    Args:
        model: The model.
        config: The optimizer settings.
        batch_size: Images per step over all processes.
        extra: Parameters that are not part of the model and are trained with it, without weight decay.
    """
    groups = parameter_groups(model, config)
    if extra:
        groups.append({"params": list(extra), "factor": 1.0, "weight_decay": 0.0, "l1_penalty": 0.0})
    fused = groups[0]["params"][0].device.type in {"cpu", "cuda"}
    optimizer = config.build(groups, config.scaled_lr(batch_size), fused)
    for group in optimizer.param_groups:
        group["base_lr"] = config.scaled_lr(batch_size) * group["factor"]
    if config.l1_penalty:
        optimizer.register_step_post_hook(shrink_weights)
    return optimizer


def current_lr(optimizer: torch.optim.Optimizer) -> float:
    """Return the learning rate of the group with factor 1, otherwise of the first group."""
    groups = optimizer.param_groups
    return float(next((group["lr"] for group in groups if group["factor"] == 1), groups[0]["lr"]))


def set_lr(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set the learning rate of every group to its base rate times the factor of the schedule."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor


@torch.no_grad()
def shrink_weights(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Apply the L1 penalty of each group after a step: move its weights toward 0 by ``lr * l1_penalty``, and no further than 0.

    This is the proximal step of ISTA, the standard solver of the Lasso (Beck and Teboulle 2009, section 1). A gradient
    of ``l1_penalty * sign(w)`` would step over 0 again and again instead. As decoupled weight decay (arXiv:1711.05101), it is independent
    of momentum and of Adam's scaling.
    """
    for group in optimizer.param_groups:
        amount = group["lr"] * group.get("l1_penalty", 0.0)  # states of earlier versions have none
        for weight in group["params"] if amount else ():
            if weight.grad is not None:
                weight.copy_(functional.softshrink(weight, amount))


def innermost_backbone(model: nn.Module) -> nn.Module | None:
    """Return the network that the necks wrap, or None for a model without a ``backbone``."""
    inner: Any = getattr(model, "backbone", None)
    backbone = None
    while isinstance(inner, nn.Module):
        backbone, inner = inner, getattr(inner, "backbone", None)
    return backbone


def _init_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Give every parameter without a momentum buffer one of zeros, which leaves its first step the same.

    PyTorch's fused SGD expects that either all parameters of a group have a buffer or none, and fails when frozen parameters are
    unfrozen in a group with others.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"] if group["momentum"] else ():
            if optimizer.state[parameter].get("momentum_buffer") is None:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter, requires_grad=False)


def _backbone_factors(model: nn.Module, config: SGDConfig | AdamWConfig) -> dict[int, float]:
    """Return the learning rate factor of each backbone parameter, by id."""
    backbone = innermost_backbone(model)
    if backbone is None:
        return {}
    heads = getattr(backbone, "head_names", ())  # the network of a classifier includes its head
    factors = {id(parameter): config.backbone_lr_factor for name, parameter in backbone.named_parameters() if name not in heads}
    get_stages: Any = getattr(backbone, "stages", None)
    stages = list(get_stages()) if callable(get_stages) and config.layer_decay != 1 else []
    for index, stage in enumerate(stages):
        for parameter in stage.parameters():
            factors[id(parameter)] = config.backbone_lr_factor * config.layer_decay ** (len(stages) - index)
    return factors

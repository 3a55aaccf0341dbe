"""The L1 penalty of the optimizers: it solves the Lasso, and the stronger it is, the more weights are exactly 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from detkit.drawing.curves import draw_curves
from detkit.training.optim.optimizer import AdamWConfig, OptimizerConfig, SGDConfig, build_optimizer, set_lr

PENALTIES = (0.0, 1e-4, 1e-2, 1e-1, 3e-1)
CONFIGS = [
    SGDConfig(lr=0.05, lr_scaling="none", weight_decay=0.0),
    AdamWConfig(lr=0.01, lr_scaling="none", weight_decay=0.0),
]


def regression(count: int = 128, inputs: int = 40, used: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs ``(count, inputs)`` and targets ``(count,)`` that depend on the first ``used`` inputs only."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, inputs, generator=generator)
    return x, x[:, :used] @ torch.linspace(1.0, 2.0, used) + 0.1 * torch.randn(count, generator=generator)


def trained(config: OptimizerConfig, net: nn.Module, steps: int) -> nn.Module:
    x, y = regression()
    optimizer = build_optimizer(net, config, 4)
    for _ in range(steps):
        optimizer.zero_grad()
        (0.5 * functional.mse_loss(net(x)[:, 0], y)).backward()
        optimizer.step()
    return net


@pytest.mark.oracle("scikit-learn", "L1 penalty of the optimizers", tolerance="1e-5, zeros equal")
def test_the_solution_is_that_of_the_lasso() -> None:
    from sklearn.linear_model import Lasso

    net = trained(SGDConfig(lr=0.4, lr_scaling="none", momentum=0.0, weight_decay=0.0, l1_penalty=0.2), nn.Linear(40, 1), 300)
    x, y = (values.double().numpy() for values in regression())
    expected = Lasso(alpha=0.2, tol=1e-10).fit(x, y)
    weights = net.weight.detach().numpy()[0]  # type: ignore[union-attr,operator]
    np.testing.assert_allclose(weights, expected.coef_, atol=1e-5)
    np.testing.assert_array_equal(weights == 0, expected.coef_ == 0)
    assert net.bias.item() == pytest.approx(expected.intercept_, abs=1e-5)  # type: ignore[union-attr,operator]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_the_share_of_zeros_grows_with_the_penalty(config: OptimizerConfig, tmp_path: Path) -> None:
    shares = []
    for penalty in PENALTIES:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(40, 32), nn.ReLU(), nn.Linear(32, 1))
        trained(config.replace(l1_penalty=penalty), net, 250)
        weights = torch.cat([parameter.detach().flatten() for parameter in net.parameters() if parameter.ndim > 1])
        shares.append(float((weights == 0).float().mean()))
        assert not any(bool((parameter == 0).any()) for parameter in net.parameters() if parameter.ndim == 1)
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] > 0.6
    plot = draw_curves(
        {config.kind: [(1e4 * x, y) for x, y in zip(PENALTIES, shares, strict=True)]}, "weights that are 0", "l1_penalty / 1e-4"
    )
    Image.fromarray(plot).save(tmp_path / "zeros.png")
    assert np.asarray(Image.open(tmp_path / "zeros.png")).std() > 0


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_the_penalty_follows_the_schedule_and_spares_frozen_weights(config: OptimizerConfig) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.BatchNorm1d(3))
    net[1].weight.requires_grad_(False)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    optimizer = build_optimizer(net, config.replace(l1_penalty=0.1), 4)
    set_lr(optimizer, 0.5)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    optimizer.step()
    amount = 0.5 * config.lr * 0.1
    torch.testing.assert_close(net[0].weight, before[0].sign() * (before[0].abs() - amount).clamp(min=0))
    for parameter, old in list(zip(net.parameters(), before, strict=True))[1:]:
        assert torch.equal(parameter, old)


def test_no_penalty_adds_no_work() -> None:
    optimizer = build_optimizer(nn.Linear(2, 2), CONFIGS[0], 4)
    assert not optimizer._optimizer_step_post_hooks

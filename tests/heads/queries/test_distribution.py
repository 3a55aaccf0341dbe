from __future__ import annotations

import math
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.testing import assert_close

from detkit.heads.queries.distribution import QualityEstimator, bin_values, distances_to_cxcywh, expected_distances
from detkit.heads.queries.distribution_targets import bin_targets, cxcywh_to_distances

UP = torch.tensor([0.5])
SCALE = torch.tensor([4.0])
VALUES = bin_values(UP, SCALE)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_boxes(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, 4, generator=generator(seed)) * 0.5 + 0.1


# ---- values of the bins


@pytest.mark.parametrize(("up", "scale"), [(0.5, 4.0), (0.5, 8.0), (0.25, 3.0)])
@pytest.mark.parametrize("bins", [4, 16, 32])
def test_bin_values_are_the_weighting_function_of_the_paper(up: float, scale: float, bins: int) -> None:
    a, c = up, 1 / scale
    expected = [-2 * a]
    for n in range(1, bins):
        exponent = abs(bins - 2 * n) / (bins - 2)
        expected.append(math.copysign(c * (a / c + 1) ** exponent - c, 2 * n - bins))
    expected.append(2 * a)
    values = bin_values(torch.tensor([up]), torch.tensor([scale]), bins)
    assert_close(values, torch.tensor(expected) * scale, atol=1e-6, rtol=1e-6)


def test_bin_values_equal_those_of_the_released_code() -> None:
    published = [-4.0, -1.999999, -1.7881303, -1.5912242, -1.4082241, -1.2381482]  # the first of 33, for scale 4
    assert_close(VALUES[:6], torch.tensor(published), atol=2e-6, rtol=0)
    assert VALUES[16] == 0
    assert_close(VALUES, -VALUES.flip(0), atol=0, rtol=0)


# ---- from logits to boxes


def test_expected_distance_is_the_mean_of_the_distribution() -> None:
    logits = torch.randn(2, 3, 4, 33, generator=generator())
    probabilities = logits.double().exp() / logits.double().exp().sum(-1, keepdim=True)
    assert_close(expected_distances(logits, VALUES).double(), probabilities @ VALUES.double(), atol=1e-6, rtol=1e-6)
    uniform = expected_distances(torch.zeros(5, 4, 33), VALUES)
    assert_close(uniform, torch.zeros(5, 4), atol=1e-6, rtol=0)


def test_edges_move_outward_in_units_of_the_reference() -> None:
    reference = torch.tensor([0.5, 0.4, 0.2, 0.1])
    distances = torch.tensor([1.0, 2.0, -1.0, 0.0])
    # Left by 0.2 / 4, top by 2 * 0.1 / 4; right comes inward by 0.2 / 4.
    left, top, right, bottom = 0.4 - 0.05, 0.35 - 0.05, 0.6 - 0.05, 0.45
    expected = torch.tensor([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])
    assert_close(distances_to_cxcywh(distances, reference, SCALE), expected)
    assert_close(distances_to_cxcywh(torch.zeros(4), reference, SCALE), reference)


def test_passing_edges_give_a_negative_size() -> None:
    box = distances_to_cxcywh(torch.tensor([-4.0, 0.0, -4.0, 0.0]), torch.tensor([0.5, 0.5, 0.2, 0.2]), SCALE)
    assert_close(box, torch.tensor([0.5, 0.5, -0.2, 0.2]))


@pytest.mark.parametrize("scale", [4.0, 8.0])
def test_distances_invert_boxes(scale: float) -> None:
    references, boxes = random_boxes(2, 50), random_boxes(2, 50, seed=1)
    distances = cxcywh_to_distances(boxes, references, torch.tensor([scale]))
    assert_close(distances_to_cxcywh(distances, references, torch.tensor([scale])), boxes, atol=1e-5, rtol=1e-5)


def test_distances_do_not_depend_on_the_unit() -> None:
    references, boxes, image = random_boxes(50), random_boxes(50, seed=1), torch.tensor([640.0, 480.0, 640.0, 480.0])
    assert_close(cxcywh_to_distances(boxes * image, references * image, SCALE), cxcywh_to_distances(boxes, references, SCALE))


def test_distances_from_a_reference_without_size_are_finite() -> None:
    distances = cxcywh_to_distances(random_boxes(3), torch.tensor([[0.5, 0.5, 0.0, 0.0]] * 3), SCALE)
    assert distances.isfinite().all()
    assert all(values.isfinite().all() for values in bin_targets(distances, VALUES))


def test_boxes_are_float32_under_autocast_and_learn() -> None:
    logits = torch.randn(2, 3, 4, 33, generator=generator()).requires_grad_()
    references = random_boxes(2, 3)
    expected = distances_to_cxcywh(expected_distances(logits, VALUES), references, SCALE)
    with torch.autocast("cpu", torch.bfloat16):
        boxes = distances_to_cxcywh(expected_distances(logits, bin_values(UP, SCALE)), references, SCALE)
    assert boxes.dtype == torch.float32
    assert_close(boxes, expected, atol=1e-6, rtol=1e-6)
    boxes.sum().backward()
    assert logits.grad is not None
    assert logits.grad.abs().amin(-1).max() > 0


# ---- quality of a box


def test_quality_starts_without_effect_and_reads_the_four_largest_probabilities() -> None:
    estimator = QualityEstimator()
    assert {name: tuple(value.shape) for name, value in estimator.state_dict().items()} == {
        "reg_conf.layers.0.weight": (64, 20),
        "reg_conf.layers.0.bias": (64,),
        "reg_conf.layers.1.weight": (1, 64),
        "reg_conf.layers.1.bias": (1,),
    }
    logits, edges = torch.randn(2, 3, 5), torch.randn(2, 3, 4, 33)
    assert_close(estimator(logits, edges), logits)
    for parameter in estimator.parameters():
        nn.init.normal_(parameter, std=0.3)
    top = edges.softmax(-1).sort(-1, descending=True).values[..., :4]
    statistics = torch.cat([torch.cat((edge, edge.mean(-1, keepdim=True)), -1) for edge in top.unbind(-2)], -1)
    first, last = estimator.reg_conf.layers
    hidden = functional.relu(statistics @ first.weight.T + first.bias)
    assert_close(estimator(logits, edges), logits + hidden @ last.weight.T + last.bias)


def test_quality_learns_from_zero() -> None:
    estimator = QualityEstimator()
    estimator(torch.randn(1, 2, 3), torch.randn(1, 2, 4, 33)).sum().backward()
    gradient = estimator.reg_conf.layers[-1].weight.grad
    assert isinstance(gradient, Tensor)
    assert gradient.abs().max() > 0


class Refinement(nn.Module):
    """Logits of edges and classes to boxes and corrected logits."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.reg_scale, self.quality = nn.Parameter(UP, False), nn.Parameter(SCALE, False), QualityEstimator()
        nn.init.normal_(self.quality.reg_conf.layers[-1].weight)  # type: ignore[arg-type]

    def forward(self, edges: Tensor, references: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        distances = expected_distances(edges, bin_values(self.up, self.reg_scale))
        return distances_to_cxcywh(distances, references, self.reg_scale), self.quality(logits, edges)


def test_refinement_runs_in_onnx_with_any_batch(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    model, names = Refinement().eval(), ["edges", "references", "logits"]

    def inputs(batch: int) -> tuple[Tensor, ...]:
        return torch.randn(batch, 5, 4, 33), random_boxes(batch, 5), torch.randn(batch, 5, 3)

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = {name: {0: "batch"} for name in names}
        torch.onnx.export(model, inputs(2), str(tmp_path / "x.onnx"), input_names=names, dynamic_axes=axes, opset_version=17, dynamo=False)
    session = onnxruntime.InferenceSession(str(tmp_path / "x.onnx"), providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        arguments = inputs(batch)
        outputs = session.run(None, {name: tensor.numpy() for name, tensor in zip(names, arguments, strict=True)})
        with torch.no_grad():
            for output, expected in zip(outputs, model(*arguments), strict=True):
                assert_close(torch.from_numpy(output), expected, atol=1e-5, rtol=1e-5)

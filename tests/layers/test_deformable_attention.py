from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from transformers import DFineConfig, RTDetrConfig, RTDetrV2Config
from transformers.models.d_fine.modeling_d_fine import DFineMultiscaleDeformableAttention
from transformers.models.rt_detr.modeling_rt_detr import RTDetrMultiscaleDeformableAttention
from transformers.models.rt_detr_v2.modeling_rt_detr_v2 import RTDetrV2MultiscaleDeformableAttention

from detkit.layers.deformable_attention import DeformableAttention

SIZES = [(6, 8), (3, 4), (2, 2)]


def random_inputs(batch: int = 2, queries: int = 7, channels: int = 32) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, boxes of which some extend beyond the image, and cells."""
    generator = torch.Generator().manual_seed(0)
    cells = sum(height * width for height, width in SIZES)
    shapes = ((batch, queries, channels), (batch, queries, 4), (batch, cells, channels))
    tensors = [torch.randn(shape, generator=generator) for shape in shapes]
    return tensors[0], tensors[1].sigmoid(), tensors[2]


def randomized(layer: nn.Module) -> dict[str, Tensor]:
    """Replace the parameters by random ones and return them by name."""
    torch.manual_seed(0)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    return dict(layer.named_parameters())


def by_transformers(layer: nn.Module, queries: Tensor, references: Tensor, cells: Tensor) -> Tensor:
    out: Tensor = layer(
        queries,
        encoder_hidden_states=cells,
        reference_points=references[:, :, None],
        spatial_shapes=torch.tensor(SIZES),
        spatial_shapes_list=SIZES,
    )[0]
    return out


def rtdetr() -> tuple[nn.Module, DeformableAttention]:
    return RTDetrMultiscaleDeformableAttention(RTDetrConfig(d_model=32), 4, 4), DeformableAttention(32, 4, (4, 4, 4), projections=True)


def rtdetr_v2(method: str = "default") -> tuple[nn.Module, DeformableAttention]:
    config = RTDetrV2Config(d_model=32, decoder_attention_heads=4, decoder_n_points=3, decoder_offset_scale=0.7, decoder_method=method)
    discrete = method == "discrete"
    return RTDetrV2MultiscaleDeformableAttention(config), DeformableAttention(
        32, 4, (3, 3, 3), offset_scale=0.7, projections=True, discrete=discrete
    )


def dfine() -> tuple[nn.Module, DeformableAttention]:
    config = DFineConfig(d_model=32, decoder_attention_heads=4, decoder_n_points=[3, 6, 2], decoder_offset_scale=0.5)
    return DFineMultiscaleDeformableAttention(config), DeformableAttention(32, 4, (3, 6, 2), projections=False)


@pytest.mark.oracle("transformers", "deformable attention and its gradients", tolerance="1e-5, gradients 1e-4 relative")
@pytest.mark.parametrize("pair", [rtdetr, rtdetr_v2, lambda: rtdetr_v2("discrete"), dfine], ids=["v1", "v2", "v2 discrete", "D-FINE"])
def test_output_and_gradients_equal_transformers(pair: Any) -> None:
    reference, layer = pair()
    layer.load_state_dict(randomized(reference))
    inputs = tuple(tensor.requires_grad_() for tensor in random_inputs())
    out, expected = layer(*inputs, SIZES), by_transformers(reference, *inputs)
    assert_close(out, expected, atol=1e-5, rtol=1e-5)
    gradients = [gradients_by_name(result, inputs, own) for result, own in ((out, layer), (expected, reference))]
    learned = {name for name, parameter in layer.named_parameters() if parameter.requires_grad}
    assert learned <= gradients[0].keys() <= gradients[1].keys()
    for name, gradient in gradients[0].items():
        assert_close(gradient, gradients[1][name], atol=2e-5, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}")


def gradients_by_name(out: Tensor, inputs: tuple[Tensor, ...], layer: nn.Module) -> dict[str, Tensor]:
    """Gradients of a random weighting of the output by the inputs and the parameters that it depends on."""
    named = dict(zip(("queries", "references", "cells"), inputs, strict=True))
    named.update((name, parameter) for name, parameter in layer.named_parameters() if parameter.requires_grad)
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    gradients = torch.autograd.grad(out, list(named.values()), upstream, allow_unused=True)
    return {name: gradient for name, gradient in zip(named, gradients, strict=True) if gradient is not None}


@pytest.mark.parametrize(
    ("pair", "buffer"), [(rtdetr, None), (rtdetr_v2, "n_points_scale"), (dfine, "num_points_scale")], ids=["v1", "v2", "D-FINE"]
)
def test_names_of_parameters_are_those_of_transformers(pair: Any, buffer: str | None) -> None:
    reference, layer = pair()
    expected = {name: tensor.shape for name, tensor in reference.state_dict().items() if name != buffer}
    assert {name: tensor.shape for name, tensor in layer.state_dict().items()} == expected
    if buffer is not None:
        assert_close(layer.num_points_scale, reference.get_buffer(buffer), atol=0, rtol=0)


def test_heads_look_in_different_directions_at_first() -> None:
    layer = DeformableAttention(16, 8, (2, 1), projections=True)
    diagonal = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)]
    expected = torch.tensor([[(x * n, y * n) for n in (1, 2, 1)] for x, y in diagonal], dtype=torch.float32)
    assert_close(layer.sampling_offsets.bias.view(8, 3, 2), expected)
    queries = random_inputs(channels=16)[0]
    box = torch.tensor([0.5, 0.4, 0.2, 0.1]).expand(2, 7, 4)
    center, unit = box[0, 0, :2], 0.5 * box[0, 0, 2:] / torch.tensor([[2], [2], [1]])
    assert_close(layer.locations(queries, box)[0, 0], center + expected * unit)


def test_all_points_weigh_the_same_at_first() -> None:
    layer, (queries, _, cells) = DeformableAttention(32, 4, (3, 2, 1), projections=True), random_inputs()
    box = torch.tensor([0.5, 0.5, 0.01, 0.01]).expand(2, 7, 4)
    equal = cells[:, :1].expand_as(cells)
    projected = layer.output_proj(layer.value_proj(equal[:, :7]))  # type: ignore[misc]
    assert_close(layer(queries, box, equal, SIZES), projected)


def test_channels_that_cannot_be_divided() -> None:
    with pytest.raises(ValueError, match="a multiple of 8 heads, got 20"):
        DeformableAttention(20, 8, (4,), projections=False)


class Maps(nn.Module):
    """Attention to maps, so that an exported graph has maps of any size."""

    def __init__(self, layer: DeformableAttention) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, queries: Tensor, references: Tensor, fine: Tensor, coarse: Tensor) -> Tensor:
        cells = torch.cat([level.flatten(2).transpose(1, 2) for level in (fine, coarse)], 1)
        out: Tensor = self.layer(queries, references, cells, [(level.shape[2], level.shape[3]) for level in (fine, coarse)])
        return out


@pytest.mark.slow
@pytest.mark.parametrize(("projections", "discrete"), [(False, False), (True, True)])
def test_exported_graphs_take_batches_and_maps_of_any_size(projections: bool, discrete: bool, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    layer = DeformableAttention(16, 4, (3, 2), projections=projections, discrete=discrete).eval()
    randomized(layer)
    names = ["queries", "references", "fine", "coarse"]

    def maps(batch: int, height: int, width: int) -> tuple[Tensor, ...]:
        queries, references, _ = random_inputs(batch, channels=16)
        return queries, references, torch.randn(batch, 16, 2 * height, 2 * width), torch.randn(batch, 16, height, width)

    axes = {name: {0: "batch"} for name in names[:2]} | {name: {0: "batch", 2: f"{name} height", 3: f"{name} width"} for name in names[2:]}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Maps(layer), maps(2, 3, 4), str(tmp_path / "x.onnx"), input_names=names, dynamic_axes=axes, opset_version=17, dynamo=False
        )
    session = onnxruntime.InferenceSession(str(tmp_path / "x.onnx"), providers=["CPUExecutionProvider"])
    for size in ((1, 5, 2), (3, 3, 4)):
        inputs = maps(*size)
        (out,) = session.run(None, {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)})
        with torch.no_grad():
            assert_close(torch.from_numpy(out), Maps(layer)(*inputs), atol=1e-5, rtol=1e-5)

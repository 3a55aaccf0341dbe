"""Receptive fields against those computed by hand from kernels and strides, and against changes of pixels."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from detkit.backbones import BackboneConfig
from detkit.diagnostics.receptive_fields import center_crop, effective_fields, maps_of, noise, receptive_fields, side_for
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.necks import FPNConfig

Layers = Sequence[tuple[int, int] | tuple[int, int, int]]
"""Kernel, stride and, where it is not 1, dilation of each layer."""
CONV, POOL = (3, 1), (2, 2)


def by_hand(layers: Layers) -> int:
    """Return the receptive field of a chain: each layer adds (kernel - 1) x dilation steps of the product of the strides before it."""
    field, jump = 1, 1
    for kernel, stride, *dilation in layers:
        field += (kernel - 1) * (dilation[0] if dilation else 1) * jump
        jump *= stride
    return field


def resnet(blocks: Sequence[int], convs_per_block: int) -> list[list[tuple[int, int]]]:
    """Return the layers of a ResNet of torchvision up to each map; it strides in the first 3x3 convolution of a stage."""
    layers, maps = [(7, 2), (3, 2)], []
    for stage, count in enumerate(blocks):
        for block in range(count):
            stride = 2 if stage and not block else 1
            layers += [(3, stride), *[CONV] * (convs_per_block - 1)]
        maps.append(list(layers))
    return maps


VGG16 = [*[CONV] * 2, POOL, *[CONV] * 2, POOL, *[CONV] * 3, POOL, *[CONV] * 3, POOL, *[CONV] * 3, POOL]
ALEXNET = [(11, 4), (3, 2), (5, 1), (3, 2), *[CONV] * 3, (3, 2)]
NETWORKS: dict[str, tuple[Sequence[Layers], tuple[int, ...]]] = {
    "alexnet": ([ALEXNET[:1], ALEXNET[:3], ALEXNET[:7], ALEXNET], (11, 51, 163, 195)),
    "resnet18": (resnet((2, 2, 2, 2), 2), (43, 99, 211, 435)),
    "resnet50": (resnet((3, 4, 6, 3), 1), (35, 91, 267, 427)),
    "vgg16": ([VGG16[:9], VGG16[:13], VGG16[:17], VGG16], (40, 92, 196, 212)),
}


def backbone(name: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    return BackboneConfig(name=name, weights=None, norm="frozen", **options).build().eval()


@pytest.mark.parametrize("name", ["alexnet", "resnet18", *(pytest.param(name, marks=pytest.mark.slow) for name in ("resnet50", "vgg16"))])
def test_equals_fields_computed_by_hand(name: str) -> None:
    layers, numbers = NETWORKS[name]
    assert tuple(by_hand(chain) for chain in layers) == numbers
    assert receptive_fields(backbone(name)) == numbers


def test_the_original_resnet_of_the_literature() -> None:
    """It strides in the first 1x1 convolution, so that its 3x3 convolutions see twice as far: 483 instead of 427 pixels."""
    layers = [(7, 2), (3, 2)]
    for stage, count in enumerate((3, 4, 6, 3)):
        layers += [(1, 2 if stage else 1), CONV, *[CONV] * (count - 1)]
    assert by_hand(layers) == 483


def test_pixels_outside_of_the_field_do_not_matter() -> None:
    """Changing the columns next to a receptive field changes nothing; changing its first or last column does."""
    network = backbone("mobilenet_v2", levels=("c3", "c4")).double()
    length, fields = 768, receptive_fields(backbone("mobilenet_v2", levels=("c3", "c4")))
    image = torch.randn(1, 3, 32, length, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = network(image)
        for index, (level, field) in enumerate(zip(before, fields, strict=True)):
            assert field is not None
            center = level.shape[-1] // 2
            first = center * network.strides[index] - field // 2

            def cell(columns: slice, index: int = index, center: int = center) -> Tensor:
                changed = image.clone()
                changed[..., columns] += 10.0
                return network(changed)[index][..., center]

            outside = torch.equal(cell(slice(None, first)), level[..., center])
            assert outside, "the field begins further left"
            assert torch.equal(cell(slice(first + field, None)), level[..., center]), "the field ends further right"
            assert not torch.equal(cell(slice(first, first + 1)), level[..., center])
            assert not torch.equal(cell(slice(first + field - 1, first + field)), level[..., center])


def test_upsampled_maps_see_as_far_as_the_coarse_ones() -> None:
    """At P4, three cells of the last convolution are in two cells of C5, whose fields of 435 pixels are 32 pixels apart."""
    config = FasterRCNNConfig(backbone=BackboneConfig(name="resnet18", weights=None), neck=FPNConfig(out_channels=16))
    torch.manual_seed(0)
    detector = config.build(2).eval()
    assert receptive_fields(maps_of(detector)) == (43, 99, 211, 435, *[435 + 32] * 3, 435 + 64, 435 + 64)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "mobilenet_v3_small"])
def test_attention_and_squeeze_and_excitation_see_the_whole_image(name: str) -> None:
    assert receptive_fields(backbone(name, levels=("c4",))) == (None,)


def test_effective_field_of_equal_weights_is_that_of_a_gaussian() -> None:
    """Each 3x3 mean adds a variance of 2/3 to the profile of the gradient: 24 of them have a standard deviation of 4 pixels."""
    means = nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1, bias=False) for _ in range(24)])
    for part in means:
        nn.init.constant_(part.weight, 1 / 27)

    def network(images: Tensor) -> tuple[Tensor, ...]:
        return (means(images),)

    assert receptive_fields(network) == (49,)
    (effective,) = effective_fields(network, noise((97, 97)))
    assert effective == pytest.approx(16.0, rel=0.02)
    assert side_for((49,)) == 64
    assert center_crop(noise((97, 65)), 64).shape == (1, 3, 64, 64)


def test_effective_field_is_smaller_than_the_theoretical_one() -> None:
    network = backbone("alexnet")
    fields = receptive_fields(network)
    effective = effective_fields(network, noise((side_for(fields),) * 2))
    assert all(field is not None and 0.3 * field < part < field for part, field in zip(effective, fields, strict=True))


def test_networks_of_one_size_are_refused_in_one_sentence() -> None:
    def network(images: Tensor) -> tuple[Tensor, ...]:
        raise ValueError("expected images of 224 x 224")

    with pytest.raises(ValueError, match="expected a network that takes images of 384 x 576 pixels: expected images of 224 x 224"):
        receptive_fields(network)

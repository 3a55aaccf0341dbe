"""U-Net: the paper's network against a plain version of it, and the decoder over backbones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.backbones import BackboneConfig
from detkit.models.semantic.contracting_path import PaperUNetConfig
from detkit.models.semantic.segmenter import Segmenter
from detkit.models.semantic.unet import UNetConfig, UNetDecoderConfig
from detkit.necks.unet import UNetDecoder, mirrored
from detkit.preprocess import PreprocessConfig

LEVELS = ("c1", "c2", "c3", "c4", "c5")
BACKBONE = BackboneConfig(name="shufflenet_v2_x0_5", weights=None, levels=LEVELS)
ANY_SIZE = PreprocessConfig()


def paper_unet(padding: str, channels: tuple[int, ...] = (4, 6, 8, 10, 12)) -> Segmenter:
    paper = PaperUNetConfig(channels=channels, padding=padding)
    return UNetConfig(paper=paper, preprocess=ANY_SIZE).build(2).eval()


def plain_unet(weights: list[Tensor], image: Tensor, padding: int) -> Tensor:
    """Figure 1 of the paper in plain calls: weights and biases in the order in which the image meets them."""
    parameters = iter(weights)

    def convs(features: Tensor) -> Tensor:
        for _ in range(2):
            features = functional.relu(functional.conv2d(features, next(parameters), next(parameters), padding=padding))
        return features

    copies = []
    for _ in range(4):
        image = convs(image)
        copies.append(image)
        image = functional.max_pool2d(image, 2)
    image = convs(image)
    for copy in reversed(copies):
        image = functional.conv_transpose2d(image, next(parameters), next(parameters), stride=2)
        cut = (copy.shape[2] - image.shape[2]) // 2
        copy = copy[:, :, cut : copy.shape[2] - cut, cut : copy.shape[3] - cut]
        image = convs(torch.cat((copy, image), 1))
    return functional.conv2d(image, next(parameters), next(parameters))


@pytest.mark.parametrize(("padding", "side", "output"), [("valid", 572, 388), ("valid", 188, 4), ("same", 64, 64)])
def test_the_papers_network_equals_a_plain_one(padding: str, side: int, output: int) -> None:
    model, image = paper_unet(padding), torch.rand(1, 3, side, side)
    with torch.no_grad():
        logits = model.head(model.neck(image)[-1])
        expected = plain_unet(list(model.parameters()), image, int(padding == "same"))
    assert logits.shape == (1, 3, output, output)
    torch.testing.assert_close(logits, expected, rtol=0, atol=0)


def test_valid_convolutions_see_the_mirrored_image() -> None:
    model, image = paper_unet("valid"), torch.rand(3, 100, 68)
    with torch.no_grad():
        (logits,) = model.raw(model.prepare([image]))
        padded = functional.pad(image, (0, 28, 0, 28))  # sides of a multiple of 32
        around = np.pad(padded.numpy(), [(0, 0), (92, 92 + 4), (92, 92 + 4)], "reflect")
        expected = plain_unet(list(model.parameters()), torch.from_numpy(around)[None], 0)
    assert logits.shape == (1, 3, 128, 96)
    torch.testing.assert_close(logits, expected[..., :128, :96], rtol=0, atol=0)


@pytest.mark.parametrize(("height", "width"), [(5, 40), (1, 7), (1, 1)])
def test_small_images_are_mirrored_more_than_once(height: int, width: int) -> None:
    image = torch.rand(1, 1, height, width)
    mode = "reflect" if min(height, width) > 1 else "edge"
    pads = [(0, 0), (0, 0), (9, 11), (92, 100)]
    expected = np.pad(image.numpy(), pads, mode)
    torch.testing.assert_close(mirrored(image, 92, 9, 100, 11), torch.from_numpy(expected), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("levels", "channels", "stride"),
    [(LEVELS, (32, 16, 8, 8, 4), 1), (LEVELS, (32, 16, 8, 8), 2), (("c2", "c5"), (16,), 4), (("c5",), (8, 8), 8), (("c5",), (8,) * 5, 1)],
)
def test_the_decoder_fits_any_maps(levels: tuple[str, ...], channels: tuple[int, ...], stride: int) -> None:
    neck = UNetDecoder(BACKBONE.replace(levels=levels).build(), channels)
    (features,) = neck(torch.rand(2, 3, 61, 83))
    assert (neck.channels, neck.strides) == ((channels[-1],), (stride,))
    expected = (2, channels[-1], -(-61 // stride), -(-83 // stride))
    assert features.shape[:2] == expected[:2]
    finest = min(2 ** int(name[1]) for name in levels)
    cells = tuple(-(-side // finest) * finest // stride for side in (61, 83))
    assert tuple(features.shape[2:]) in {expected[2:], cells}


@pytest.mark.parametrize("channels", [(8, 8, 8), (8,) * 6])
def test_a_wrong_number_of_channels_is_an_error(channels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected 4 to 5 channels .* got \d; change model\.decoder\.channels"):
        UNetConfig(backbone=BACKBONE, decoder=UNetDecoderConfig(channels=channels)).build(2)


def test_a_cell_of_the_decoder_is_where_its_pixel_is() -> None:
    """The gradient of an output cell with respect to the image is centered at that cell."""
    backbone = BackboneConfig(name="resnet18", weights=None, levels=LEVELS).build()
    neck = UNetDecoder(backbone, (8, 8, 8, 8, 8)).eval()
    for part in neck.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.constant_(part.weight, 1 / part.weight[0].numel())
    image = torch.rand(1, 3, 256, 256, requires_grad=True)
    neck(image)[0][0, :, 128, 128].sum().backward()
    weights = image.grad.abs().sum((0, 1))
    center = [float((weights.sum(axis) * torch.arange(256)).sum() / weights.sum()) for axis in (1, 0)]
    assert abs(center[0] - 128) < 12
    assert abs(center[1] - 128) < 12

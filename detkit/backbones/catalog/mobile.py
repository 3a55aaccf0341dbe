"""Catalog entries of networks for mobile devices, and of those scaled up from them."""

from __future__ import annotations

from detkit.backbones.info import HALVES, BackboneInfo, Family, Level, Numbers

MOBILENET_V2 = Family(
    "MobileNetV2",
    2018,
    "https://arxiv.org/abs/1801.04381",
    "Inverted residual blocks: depthwise convolutions on wide maps between narrow ones, with no activation on the narrow maps.",
)

SHUFFLENET_V2 = Family(
    "ShuffleNetV2",
    2018,
    "https://arxiv.org/abs/1807.11164",
    "Designed for measured speed: half of the channels bypass each block, then all are shuffled.",
)

MOBILENET_V3 = Family(
    "MobileNetV3",
    2019,
    "https://arxiv.org/abs/1905.02244",
    "Blocks found by architecture search for latency on a phone, with squeeze-and-excitation and a cheap swish.",
)

EFFICIENTNET = Family(
    "EfficientNet",
    2019,
    "https://arxiv.org/abs/1905.11946",
    "Depth, width and input size are scaled together by one coefficient.",
)

EFFICIENTNET_LITE = Family(
    "EfficientNet-Lite",
    2020,
    "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
    "EfficientNet without the operations that are slow on integer hardware: no squeeze-and-excitation, ReLU6 instead of swish.",
    module="efficientnet_lite",
    source="detkit",
)

EFFICIENTNET_V2 = Family(
    "EfficientNetV2",
    2021,
    "https://arxiv.org/abs/2104.00298",
    "Plain 3x3 convolutions in the early stages, where depthwise ones are slow; progressive training with growing images.",
)

# (x - 127) / 128 on 0 to 255: efficientnet_lite_builder.py of the publisher.
LITE_MEAN: Numbers = (127 / 255, 127 / 255, 127 / 255)
LITE_STD: Numbers = (128 / 255, 128 / 255, 128 / 255)


def _mobilenet_v3_large(name: str, tail: int, parameters: int, gflops: float, normalization: dict[str, Numbers]) -> BackboneInfo:
    # The FPN of torchvision's detectors uses c5_first and c5: the first block of stride 32, and the last convolution. Its SSDLite uses
    # c4_expanded and c5; c4_expanded is the map of stride 16 after that block's expansion (section 6.3 of the paper).
    channels = {"c1": 16, "c2": 24, "c3": 40, "c4": 112, "c4_expanded": 672, "c5_first": tail, "c5": 6 * tail}
    levels = tuple(Level(level, count, 2 ** int(level[1])) for level, count in channels.items())
    return MOBILENET_V3.member(
        name, tuple(channels.values())[:5], parameters, gflops, levels=levels, default_levels=("c2", "c3", "c4", "c5"), **normalization
    )


MOBILENET_V3_LARGE = _mobilenet_v3_large("mobilenet_v3_large", 160, 5483032, 0.217, {})
# No classifier is published: counted by us on torchvision's. Normalized like the input of torchvision's SSDLite.
MOBILENET_V3_LARGE_REDUCED = _mobilenet_v3_large("mobilenet_v3_large_reduced", 80, 2569352, 0.182, {"mean": HALVES, "std": HALVES})

MEMBERS = (
    MOBILENET_V2.member("mobilenet_v2", (16, 24, 32, 96, 320), 3504872, 0.301),
    SHUFFLENET_V2.member("shufflenet_v2_x0_5", (24, 24, 48, 96, 192), 1366792, 0.04),
    SHUFFLENET_V2.member("shufflenet_v2_x1_0", (24, 24, 116, 232, 464), 2278604, 0.145),
    SHUFFLENET_V2.member("shufflenet_v2_x1_5", (24, 24, 176, 352, 704), 3503624, 0.296),
    SHUFFLENET_V2.member("shufflenet_v2_x2_0", (24, 24, 244, 488, 976), 7393996, 0.583),
    MOBILENET_V3.member("mobilenet_v3_small", (16, 16, 24, 48, 576), 2542856, 0.057),
    MOBILENET_V3_LARGE,
    MOBILENET_V3_LARGE_REDUCED,
    EFFICIENTNET.member("efficientnet_b0", (16, 24, 40, 112, 320), 5288548, 0.386),
    EFFICIENTNET.member("efficientnet_b1", (16, 24, 40, 112, 320), 7794184, 0.687, input_size=240),
    EFFICIENTNET.member("efficientnet_b2", (16, 24, 48, 120, 352), 9109994, 1.088, input_size=288),
    EFFICIENTNET.member("efficientnet_b3", (24, 32, 48, 136, 384), 12233232, 1.827, input_size=300),
    EFFICIENTNET.member("efficientnet_b4", (24, 32, 56, 160, 448), 19341616, 4.394, input_size=380),
    EFFICIENTNET.member("efficientnet_b5", (24, 40, 64, 176, 512), 30389784, 10.266, input_size=456),
    EFFICIENTNET.member("efficientnet_b6", (32, 40, 72, 200, 576), 43040704, 19.068, input_size=528),
    EFFICIENTNET.member("efficientnet_b7", (32, 48, 80, 224, 640), 66347960, 37.746, input_size=600),
    EFFICIENTNET_LITE.member("efficientnet_lite0", (16, 24, 40, 112, 320), 4652008, 0.385, mean=LITE_MEAN, std=LITE_STD, input_size=224),
    EFFICIENTNET_LITE.member("efficientnet_lite1", (16, 24, 40, 112, 320), 5416680, 0.6, mean=LITE_MEAN, std=LITE_STD, input_size=240),
    EFFICIENTNET_LITE.member("efficientnet_lite2", (16, 24, 48, 120, 352), 6092072, 0.86, mean=LITE_MEAN, std=LITE_STD, input_size=260),
    EFFICIENTNET_LITE.member("efficientnet_lite3", (24, 32, 48, 136, 384), 8197096, 1.608, mean=LITE_MEAN, std=LITE_STD, input_size=300),
    EFFICIENTNET_LITE.member("efficientnet_lite4", (24, 32, 56, 160, 448), 13006568, 3.944, mean=LITE_MEAN, std=LITE_STD, input_size=380),
    EFFICIENTNET_V2.member("efficientnet_v2_s", (24, 48, 64, 160, 256), 21458488, 8.366, input_size=384),
    EFFICIENTNET_V2.member("efficientnet_v2_m", (24, 48, 80, 176, 512), 54139356, 24.582, input_size=480),
    EFFICIENTNET_V2.member("efficientnet_v2_l", (32, 64, 96, 224, 640), 118515272, 56.08, input_size=480, mean=HALVES, std=HALVES),
)
